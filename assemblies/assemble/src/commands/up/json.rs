//! What happens, told to programs: one JSON object a line, in the shape of ECS's own events.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;

use serde_json::{Value, json};
use task_definition::TaskDefinition;
use task_runner::machine::TaskStatus;
use task_runner::{RunnerEvent, What};

use super::screen::Show;
use super::several::service_of;

/// Remembers of each container what an event has to repeat.
#[derive(Debug)]
pub(super) struct Lines {
    arn: String,
    group: String,
    started_by: Option<String>,
    order: Vec<String>,
    containers: BTreeMap<String, Value>,
    task: Value,
}

impl Lines {
    /// Nothing has happened yet in the run with this folder.
    pub(super) fn new(definition: &TaskDefinition, folder: &Path) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let service = service_of(&name);
        let kind = service.as_ref().map_or("family", |_| "service");
        let order: Vec<_> = definition
            .container_definitions
            .iter()
            .map(|one| one.name.clone())
            .collect();
        let fresh = |name: &String| {
            let one = json!({ "name": name, "lastStatus": "PENDING", "healthStatus": "UNKNOWN" });
            (name.clone(), one)
        };
        Self {
            arn: format!("local/{name}"),
            group: format!("{kind}:{}", definition.family),
            started_by: service.map(|name| started_by(&name)),
            containers: order.iter().map(fresh).collect(),
            order,
            task: json!({ "lastStatus": "PENDING", "desiredStatus": "RUNNING" }),
        }
    }

    /// Takes in what happened.
    pub(super) fn note(&mut self, event: &RunnerEvent) {
        let mut nobody = Value::Null;
        let whose = event.container.as_deref().unwrap_or_default();
        let one = self.containers.get_mut(whose).unwrap_or(&mut nobody);
        match &event.what {
            What::Started { pid, run, .. } => {
                one["lastStatus"] = "RUNNING".into();
                one["healthStatus"] = "UNKNOWN".into();
                one["pid"] = (*pid).into();
                one["restartCount"] = (run - 1).into();
            }
            What::Health { health, .. } => one["healthStatus"] = health.to_string().into(),
            What::Stopped { code, reason } => {
                one["lastStatus"] = "STOPPED".into();
                one["exitCode"] = (*code).into();
                one["reason"] = reason.clone().into();
            }
            What::TaskStopping { code, reason } => {
                self.task["desiredStatus"] = "STOPPED".into();
                self.task["stopCode"] = code.to_string().into();
                self.task["stoppedReason"] = reason.clone().into();
            }
            What::Task { status, health } => {
                self.task["lastStatus"] = status.to_string().into();
                self.task["healthStatus"] = health.to_string().into();
                if *status == TaskStatus::Stopped {
                    self.task["desiredStatus"] = "STOPPED".into();
                }
            }
            _ => {}
        }
    }

    /// What happened, and everything that is known by then.
    pub(super) fn told(&self, event: &RunnerEvent) -> Value {
        let at = event.at.as_secs_f64();
        if let What::Log { stream, line } = &event.what {
            let stream = format!("{stream:?}").to_lowercase();
            return json!({ "type": "log", "at": at, "taskArn": self.arn, "container": event.container,
                "stream": stream, "line": line });
        }
        if let What::Warning(words) = &event.what {
            return json!({ "type": "warning", "at": at, "taskArn": self.arn, "container": event.container,
                "message": words });
        }
        let kind = match event.container {
            Some(_) => "ECS Container State Change",
            None => "ECS Task State Change",
        };
        let detail = self.task();
        json!({ "type": "event", "at": at, "taskArn": self.arn, "source": "assemble.local",
            "detail-type": kind, "container": event.container, "detail": detail })
    }
}

impl Lines {
    /// The task and its containers as ECS tells of them.
    pub(super) fn task(&self) -> Value {
        let mut task = self.task.clone();
        task["taskArn"] = self.arn.clone().into();
        task["group"] = self.group.clone().into();
        if let Some(service) = &self.started_by {
            task["startedBy"] = service.clone().into();
        }
        let containers = self
            .order
            .iter()
            .filter_map(|name| self.containers.get(name));
        task["containers"] = containers.cloned().collect();
        task
    }
}

/// How a task says which service it belongs to: the run of the service stands for its deployment.
pub(crate) fn started_by(service: &str) -> String {
    format!("ecs-svc/{service}")
}

impl Show for Lines {
    fn event(&mut self, event: &RunnerEvent) {
        self.note(event);
        let _ = writeln!(stdout(), "{}", self.told(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use task_runner::machine::{Health, StopCode};

    #[test]
    fn an_event_repeats_what_is_known_of_everybody() {
        let definition = json!({ "family": "f", "containerDefinitions": [
            { "name": "app", "image": "app" }, { "name": "proxy", "image": "proxy" } ] });
        let mut lines = Lines::new(
            &serde_json::from_value(definition).unwrap(),
            "run/f-1".as_ref(),
        );
        let event = |container: Option<&str>, what| RunnerEvent {
            at: Duration::from_millis(1500),
            container: container.map(str::to_owned),
            what,
        };
        let stopped = What::Stopped {
            code: Some(3),
            reason: None,
        };
        lines.note(&event(Some("app"), stopped));
        let reason = "Essential container in task exited".to_owned();
        let stopping = What::TaskStopping {
            code: StopCode::EssentialContainerExited,
            reason,
        };
        lines.note(&event(None, stopping));
        let last = event(
            None,
            What::Task {
                status: TaskStatus::Stopped,
                health: Health::Unknown,
            },
        );
        lines.note(&last);
        let told = lines.told(&last);
        assert_eq!(told["detail-type"], "ECS Task State Change");
        assert_eq!(told["at"], 1.5);
        assert_eq!(
            (&told["taskArn"], &told["detail"]["group"]),
            (&json!("local/f-1"), &json!("family:f"))
        );
        assert_eq!(told["detail"]["stopCode"], "EssentialContainerExited");
        assert_eq!(told["detail"]["lastStatus"], "STOPPED");
        assert_eq!(told["detail"]["containers"][0]["exitCode"], 3);
        assert_eq!(told["detail"]["containers"][1]["lastStatus"], "PENDING");
    }
}
