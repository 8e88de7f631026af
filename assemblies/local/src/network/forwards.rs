//! The forwarded ports of a running task. A published port closes once no container can answer on it.

use std::collections::{BTreeMap, BTreeSet};

use task_definition::TaskDefinition;
use task_runner::machine::TaskStatus;
use task_runner::sandbox::Forward;
use task_runner::{EventKind, RunnerEvent};

use crate::EventSink;

/// All forwarded ports. They close when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    published: Vec<(u16, Forward)>,
    _egress: Vec<Forward>,
}

impl Forwards {
    /// Holds the published ports, each with its port in the task, and the outgoing ones.
    pub(super) fn new(published: Vec<(u16, Forward)>, egress: Vec<Forward>) -> Self {
        Self {
            published,
            _egress: egress,
        }
    }

    /// Wraps a sink so that ports are closed before the event is printed.
    pub(crate) fn before(
        self,
        definition: &TaskDefinition,
        sink: Box<dyn EventSink>,
    ) -> Box<dyn EventSink> {
        Box::new(ClosingSink {
            answering: AnsweringPorts::new(definition),
            forwards: self,
            sink,
        })
    }
}

struct ClosingSink {
    answering: AnsweringPorts,
    forwards: Forwards,
    sink: Box<dyn EventSink>,
}

impl EventSink for ClosingSink {
    fn event(&mut self, event: &RunnerEvent) {
        self.answering.update(event);
        let answering = &self.answering;
        self.forwards
            .published
            .retain(|(port, _)| answering.may_answer(*port));
        self.sink.event(event);
    }

    fn idle(&mut self) {
        self.sink.idle();
    }
}

/// Tracks which ports of the task a container may still answer on.
#[derive(Debug)]
struct AnsweringPorts {
    /// The mapped ports of each container.
    mapped: BTreeMap<String, BTreeSet<u16>>,
    ended: BTreeSet<String>,
    stopping: bool,
    stopped: bool,
}

impl AnsweringPorts {
    fn new(definition: &TaskDefinition) -> Self {
        let containers = definition.container_definitions.iter();
        let ports = |container: &task_definition::ContainerDefinition| {
            let ports = container
                .port_mappings
                .iter()
                .filter_map(|mapping| u16::try_from(mapping.container_port?).ok());
            (container.name.clone(), ports.collect())
        };

        Self {
            mapped: containers.map(ports).collect(),
            ended: BTreeSet::new(),
            stopping: false,
            stopped: false,
        }
    }

    fn update(&mut self, event: &RunnerEvent) {
        match &event.kind {
            EventKind::TaskStopping { .. } => self.stopping = true,
            EventKind::Stopped { .. } => self.ended.extend(event.container.clone()),
            EventKind::Task { status, .. } => self.stopped |= *status == TaskStatus::Stopped,
            _ => {}
        }
    }

    /// Returns whether a container may answer on a port. While the task runs, the container may be restarted or
    /// another one may take the port; while it stops, nothing starts any more. A port without a mapping may belong
    /// to any container.
    fn may_answer(&self, port: u16) -> bool {
        if self.stopped || !self.stopping {
            return !self.stopped;
        }
        let mut owners = self
            .mapped
            .iter()
            .filter(|(_, ports)| ports.contains(&port));
        let mapped = owners.clone().next().is_some();
        !mapped || owners.any(|(name, _)| !self.ended.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;
    use task_runner::machine::{Health, StopCode};

    fn answering() -> AnsweringPorts {
        let definition = json!({ "family": "f", "containerDefinitions": [
            { "name": "proxy", "image": "p", "portMappings": [{ "containerPort": 443 }] },
            { "name": "app", "image": "a" } ] });
        AnsweringPorts::new(&serde_json::from_value(definition).unwrap())
    }

    fn event(container: Option<&str>, kind: EventKind) -> RunnerEvent {
        RunnerEvent {
            at: Duration::ZERO,
            container: container.map(str::to_owned),
            kind,
        }
    }

    const ENDED: EventKind = EventKind::Stopped {
        code: Some(0),
        reason: None,
    };

    #[test]
    fn closes_a_port_with_its_container_once_the_task_stops() {
        let mut answering = answering();
        answering.update(&event(Some("proxy"), ENDED));
        assert!(answering.may_answer(443));

        let code = StopCode::EssentialContainerExited;
        let reason = String::new();
        answering.update(&event(None, EventKind::TaskStopping { code, reason }));
        assert!(!answering.may_answer(443));
        // No container maps 9000, so `app` may listen on it.
        assert!(answering.may_answer(9000));

        let status = TaskStatus::Stopped;
        let health = Health::Unknown;
        answering.update(&event(None, EventKind::Task { status, health }));
        assert!(!answering.may_answer(9000));
    }
}
