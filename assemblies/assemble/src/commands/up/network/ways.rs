//! What leads in and out of a task that runs: each way in closes once nobody is left who could answer there.

use std::collections::{BTreeMap, BTreeSet};

use task_definition::TaskDefinition;
use task_runner::machine::TaskStatus;
use task_runner::sandbox::Forward;
use task_runner::{RunnerEvent, What};

use crate::commands::up::screen::Show;

/// All of them; they close when this does.
#[derive(Debug, Default)]
pub(in crate::commands::up) struct Ways {
    inward: Vec<(u16, Forward)>,
    _outward: Vec<Forward>,
}

impl Ways {
    /// Those that lead in, each with the port of the task, and those that lead out.
    pub(super) fn new(inward: Vec<(u16, Forward)>, outward: Vec<Forward>) -> Self {
        Self {
            inward,
            _outward: outward,
        }
    }

    /// Whoever shows what happens, with the ways in closed before.
    pub(in crate::commands::up) fn before(
        self,
        definition: &TaskDefinition,
        show: Box<dyn Show>,
    ) -> Box<dyn Show> {
        Box::new(Closing {
            left: Left::new(definition),
            ways: self,
            show,
        })
    }
}

struct Closing {
    left: Left,
    ways: Ways,
    show: Box<dyn Show>,
}

impl Show for Closing {
    fn event(&mut self, event: &RunnerEvent) {
        self.left.note(event);
        let left = &self.left;
        let inward = &mut self.ways.inward;
        inward.retain(|(port, _)| left.may_answer(*port));
        self.show.event(event);
    }

    fn silence(&mut self) {
        self.show.silence();
    }
}

/// Who may still answer.
#[derive(Debug)]
struct Left {
    /// Who maps which ports.
    mapped: BTreeMap<String, BTreeSet<u16>>,
    ended: BTreeSet<String>,
    stopping: bool,
    stopped: bool,
}

impl Left {
    fn new(definition: &TaskDefinition) -> Self {
        let containers = definition.container_definitions.iter();
        let ports = |one: &task_definition::ContainerDefinition| {
            let ports = one.port_mappings.iter();
            let ports = ports.filter_map(|one| u16::try_from(one.container_port?).ok());
            (one.name.clone(), ports.collect())
        };

        Self {
            mapped: containers.map(ports).collect(),
            ended: BTreeSet::new(),
            stopping: false,
            stopped: false,
        }
    }

    fn note(&mut self, event: &RunnerEvent) {
        match &event.what {
            What::TaskStopping { .. } => self.stopping = true,
            What::Stopped { .. } => self.ended.extend(event.container.clone()),
            What::Task { status, .. } => self.stopped |= *status == TaskStatus::Stopped,
            _ => {}
        }
    }

    /// The port of a container that has ended may be taken by another one for as long as the task goes on; in a
    /// task that stops nobody comes to take it. A port that nobody maps may be anybody's.
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

    fn left() -> Left {
        let definition = json!({ "family": "f", "containerDefinitions": [
            { "name": "proxy", "image": "p", "portMappings": [{ "containerPort": 443 }] },
            { "name": "app", "image": "a" } ] });
        Left::new(&serde_json::from_value(definition).unwrap())
    }

    fn event(container: Option<&str>, what: What) -> RunnerEvent {
        RunnerEvent {
            at: Duration::ZERO,
            container: container.map(str::to_owned),
            what,
        }
    }

    const ENDED: What = What::Stopped {
        code: Some(0),
        reason: None,
    };

    #[test]
    fn a_port_closes_with_its_container_once_the_task_stops() {
        let mut left = left();
        left.note(&event(Some("proxy"), ENDED));
        assert!(left.may_answer(443));

        let code = StopCode::EssentialContainerExited;
        let reason = String::new();
        left.note(&event(None, What::TaskStopping { code, reason }));
        assert!(!left.may_answer(443));
        assert!(left.may_answer(9000));

        let status = TaskStatus::Stopped;
        let health = Health::Unknown;
        left.note(&event(None, What::Task { status, health }));
        assert!(!left.may_answer(9000));
    }
}
