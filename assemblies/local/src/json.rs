//! Events for programs: one JSON object per line, in the format of ECS's own events.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};
use task_runner::machine::TaskStatus;
use task_runner::metadata::{ContainerView, TaskView, rfc3339};
use task_runner::{EventKind, RunnerEvent};

use crate::Role;

/// The state of a task and its containers, which every event repeats.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// Fields of every line that identify the task.
    identity: Value,
    id: String,
    begun: SystemTime,
    /// Number of state changes of the task and its containers.
    version: u32,
    order: Vec<String>,
    containers: BTreeMap<String, Value>,
    task: Value,
    times: BTreeMap<&'static str, SystemTime>,
}

/// A time format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// RFC 3339, as in events.
    Rfc3339,
    /// Seconds since 1970, as in API responses.
    Seconds,
}

impl TaskRecord {
    /// Creates the record of a task that has not started, with its run directory; `role` is the one of this process.
    pub(super) fn new(view: &TaskView, folder: &Path, role: &Role) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let service = role.service_of(&name);
        // ECS groups a service's tasks by service, others by family.
        let kind = service.as_ref().map_or("family", |_| "service");
        let arn = view.arn();
        let mut task = json!({ "lastStatus": "PENDING", "desiredStatus": "RUNNING",
            "taskArn": arn, "clusterArn": view.cluster_arn(), "taskDefinitionArn": view.definition_arn(),
            "runName": name, "group": format!("{kind}:{}", view.family), "launchType": "FARGATE",
            "availabilityZone": view.zone() });

        if let Some(service) = service {
            task["startedBy"] = started_by(service).into();
        }

        let initial = |container: &ContainerView| {
            let name = &container.definition.name;
            let record = json!({ "name": name, "containerArn": view.container_arn(container), "taskArn": arn,
                "image": container.definition.image, "lastStatus": "PENDING", "healthStatus": "UNKNOWN" });
            (name.clone(), record)
        };

        Self {
            identity: json!({ "taskArn": arn, "runName": name, "region": view.region,
                "account": view.account }),
            id: view.id.clone(),
            begun: view.created,
            version: 1,
            order: (view.containers.iter())
                .map(|container| container.definition.name.clone())
                .collect(),
            containers: view.containers.iter().map(initial).collect(),
            task,
            times: [("createdAt", view.created), ("updatedAt", view.created)].into(),
        }
    }

    /// Updates the record.
    pub fn update(&mut self, event: &RunnerEvent) {
        // Output and warnings change no state.
        if matches!(event.kind, EventKind::Log { .. } | EventKind::Warning(_)) {
            return;
        }

        let at = self.begun + event.at;
        self.version += 1;
        self.times.insert("updatedAt", at);

        match &event.container {
            Some(name) => {
                if let Some(container) = self.containers.get_mut(name) {
                    update_container(container, &event.kind);
                }
            }
            None => self.update_task(&event.kind, at),
        }
    }

    fn update_task(&mut self, what: &EventKind, at: SystemTime) {
        match what {
            EventKind::TaskStopping { code, reason } => {
                self.task["desiredStatus"] = "STOPPED".into();
                self.task["stopCode"] = code.to_string().into();
                self.task["stoppedReason"] = reason.clone().into();
                // Only the first stop counts; a second signal does not move it.
                self.times.entry("stoppingAt").or_insert(at);
            }
            EventKind::Task { status, health } => {
                self.task["lastStatus"] = status.to_string().into();
                self.task["healthStatus"] = health.to_string().into();
                match status {
                    TaskStatus::Pending => {}
                    TaskStatus::Running => {
                        self.times.entry("startedAt").or_insert(at);
                    }
                    TaskStatus::Stopped => {
                        self.task["desiredStatus"] = "STOPPED".into();
                        self.times.entry("stoppedAt").or_insert(at);
                    }
                }
            }
            _ => {}
        }
    }

    /// Converts an event, with the state of the task after it.
    pub fn to_json(&self, event: &RunnerEvent) -> Value {
        let mut line = match &event.kind {
            EventKind::Log { stream, line } => {
                let stream = format!("{stream:?}").to_lowercase();
                json!({ "type": "log", "stream": stream, "line": line })
            }
            EventKind::Warning(message) => json!({ "type": "warning", "message": message }),
            _ => self.event(event),
        };

        line["at"] = event.at.as_secs_f64().into();
        line["time"] = rfc3339(self.begun + event.at).into();
        line["container"] = event.container.clone().into();
        for name in ["taskArn", "runName"] {
            line[name] = self.identity[name].clone();
        }

        line
    }

    /// Wraps the task in an EventBridge envelope.
    fn event(&self, event: &RunnerEvent) -> Value {
        let kind = match event.container {
            Some(_) => "ECS Container State Change",
            None => "ECS Task State Change",
        };
        json!({ "type": "event", "version": "0", "id": self.event_id(), "source": "assemble.local",
            "detail-type": kind, "account": self.identity["account"], "region": self.identity["region"],
            "resources": [self.identity["taskArn"]], "detail": self.task(TimeFormat::Rfc3339) })
    }

    /// Returns a unique event id: the task's id with the event's number in its middle.
    fn event_id(&self) -> String {
        let id = format!("{:0<32}", self.id);
        let (first, last) = (&id[..16], &id[24..32]);
        let (long, short, rest) = (&first[..8], &first[8..12], &first[12..]);
        let number = format!("{:08x}", self.version);
        format!(
            "{long}-{short}-{rest}-{}-{}{last}",
            &number[..4],
            &number[4..]
        )
    }

    /// Returns the task and its containers as DescribeTasks does.
    pub(super) fn task(&self, format: TimeFormat) -> Value {
        let mut task = self.task.clone();
        task["version"] = self.version.into();
        for (name, time) in &self.times {
            task[*name] = match format {
                TimeFormat::Rfc3339 => rfc3339(*time).into(),
                TimeFormat::Seconds => seconds(*time).into(),
            };
        }

        let containers = self
            .order
            .iter()
            .filter_map(|name| self.containers.get(name));

        // In the order of the definition, not of the names.
        task["containers"] = containers.cloned().collect();
        task
    }
}

fn update_container(container: &mut Value, what: &EventKind) {
    match what {
        EventKind::Started { pid, run, .. } => {
            container["lastStatus"] = "RUNNING".into();
            container["healthStatus"] = "UNKNOWN".into();
            container["pid"] = (*pid).into();
            container["restartCount"] = (run - 1).into();
        }
        EventKind::Health { health, .. } => container["healthStatus"] = health.to_string().into(),
        EventKind::Stopped { code, reason } => {
            container["lastStatus"] = "STOPPED".into();
            container["exitCode"] = (*code).into();
            container["reason"] = reason.clone().into();
        }
        _ => {}
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// Returns a task's `startedBy`. ECS has the deployment's id there; a local service has one deployment.
pub fn started_by(service: &str) -> String {
    format!("ecs-svc/{service}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use task_runner::RunPlan;
    use task_runner::machine::{Health, StopCode};

    const ID: &str = "cd189a933e5849daa93386466019ab50";

    /// Returns a task with two containers, created one second after the epoch.
    fn view() -> TaskView {
        let definition = json!({ "family": "f", "containerDefinitions": [
            { "name": "app", "image": "app" }, { "name": "proxy", "image": "proxy" } ] });
        let plan = RunPlan {
            definition: serde_json::from_value(definition).unwrap(),
            programs: [].into(),
            environment: [].into(),
            defaults: [].into(),
            secrets: task_runner::Secrets::default(),
            volumes: [].into(),
            folder: "run/f-1".into(),
            init: "init".into(),
            fast_health: 1,
            sandbox: None,
            cgroups: None,
            writable_paths: [].into(),
            files: [].into(),
            hosts: None,
        };

        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        TaskView::new(&plan, ID, "eu-central-1", begun)
    }

    #[test]
    fn an_event_contains_the_state_of_all_containers() {
        let mut record = TaskRecord::new(&view(), "run/f-1".as_ref(), &Role::Foreground);
        let event = |container: Option<&str>, kind| RunnerEvent {
            at: Duration::from_millis(1500),
            container: container.map(str::to_owned),
            kind,
        };
        let stopped = EventKind::Stopped {
            code: Some(3),
            reason: None,
        };

        record.update(&event(Some("app"), stopped));
        let reason = "Essential container in task exited".to_owned();
        let stopping = EventKind::TaskStopping {
            code: StopCode::EssentialContainerExited,
            reason,
        };

        record.update(&event(None, stopping));
        let last = event(
            None,
            EventKind::Task {
                status: TaskStatus::Stopped,
                health: Health::Unknown,
            },
        );

        record.update(&last);
        let line = record.to_json(&last);
        assert_eq!(line["detail-type"], "ECS Task State Change");
        assert_eq!(line["at"], 1.5);
        assert_eq!(
            (&line["runName"], &line["detail"]["group"]),
            (&json!("f-1"), &json!("family:f"))
        );
        // The app's exit code was recorded by an earlier event.
        assert_eq!(line["detail"]["stopCode"], "EssentialContainerExited");

        assert_eq!(line["detail"]["lastStatus"], "STOPPED");
        assert_eq!(line["detail"]["containers"][0]["exitCode"], 3);
        assert_eq!(line["detail"]["containers"][1]["lastStatus"], "PENDING");
    }

    #[test]
    fn an_event_has_the_fields_of_eventbridge() {
        let mut record = TaskRecord::new(&view(), "run/f-1".as_ref(), &Role::Foreground);
        let (status, health) = (TaskStatus::Running, Health::Unknown);
        let event = RunnerEvent {
            at: Duration::from_millis(1500),
            container: None,
            kind: EventKind::Task { status, health },
        };

        record.update(&event);
        let line = record.to_json(&event);
        let arn =
            |resource: &str| json!(format!("arn:aws:ecs:eu-central-1:000000000000:{resource}"));
        let task = arn(&format!("task/local/{ID}"));

        for (pointer, expected) in [
            ("/version", json!("0")),
            // The task's id, with the event's number (2) in place of digits 17 to 24.
            ("/id", json!("cd189a93-3e58-49da-0000-00026019ab50")),
            ("/time", json!("1970-01-01T00:00:02.500Z")),
            ("/account", json!("000000000000")),
            ("/region", json!("eu-central-1")),
            ("/resources", json!([task])),
            ("/taskArn", task.clone()),
            ("/detail/taskArn", task),
            ("/detail/clusterArn", arn("cluster/local")),
            ("/detail/taskDefinitionArn", arn("task-definition/f:0")),
            ("/detail/version", json!(2)),
            ("/detail/createdAt", json!("1970-01-01T00:00:01.000Z")),
            ("/detail/startedAt", json!("1970-01-01T00:00:02.500Z")),
            ("/detail/containers/0/lastStatus", json!("PENDING")),
        ] {
            assert_eq!(
                line.pointer(pointer),
                Some(&expected),
                "{pointer}\n{line:#}"
            );
        }

        let container = line["detail"]["containers"][0]["containerArn"].as_str();
        let before = format!("arn:aws:ecs:eu-central-1:000000000000:container/local/{ID}/{ID}-");
        assert!(container.unwrap().starts_with(&before), "{line:#}");
        assert!(line["detail"].get("stoppedAt").is_none());
        assert_eq!(record.task(TimeFormat::Seconds)["startedAt"], 2.5);
    }
}
