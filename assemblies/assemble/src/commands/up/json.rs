//! What happens, told to programs: one JSON object a line, in the shape of ECS's own events.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};
use task_runner::machine::TaskStatus;
use task_runner::metadata::{ACCOUNT, ContainerView, TaskView, rfc3339};
use task_runner::{RunnerEvent, What};

use super::screen::Show;
use super::several::service_of;

/// Remembers what an event has to repeat of the task and of each container.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    /// What every line says: whose it is.
    named: Value,
    id: String,
    begun: SystemTime,
    /// How often the task or a container has changed.
    version: u32,
    order: Vec<String>,
    containers: BTreeMap<String, Value>,
    task: Value,
    times: BTreeMap<&'static str, SystemTime>,
}

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    /// As RFC 3339, as in events.
    Text,
    /// As seconds since 1970, as in answers of the API.
    Seconds,
}

impl Lines {
    /// Nothing has happened yet in the run with this folder.
    pub(super) fn new(view: &TaskView, folder: &Path) -> Self {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let service = service_of(&name);
        let kind = service.as_ref().map_or("family", |_| "service");
        let arn = view.arn();
        let mut task = json!({ "lastStatus": "PENDING", "desiredStatus": "RUNNING",
            "taskArn": arn, "clusterArn": view.cluster_arn(), "taskDefinitionArn": view.definition_arn(),
            "runName": name, "group": format!("{kind}:{}", view.family), "launchType": "FARGATE",
            "availabilityZone": view.zone() });

        if let Some(service) = service {
            task["startedBy"] = started_by(&service).into();
        }

        let fresh = |one: &ContainerView| {
            let name = &one.definition.name;
            let told = json!({ "name": name, "containerArn": view.container_arn(one), "taskArn": arn,
                "image": one.definition.image, "lastStatus": "PENDING", "healthStatus": "UNKNOWN" });
            (name.clone(), told)
        };

        Self {
            named: json!({ "taskArn": arn, "runName": name, "region": view.region }),
            id: view.id.clone(),
            begun: view.begun,
            version: 1,
            order: (view.containers.iter())
                .map(|one| one.definition.name.clone())
                .collect(),
            containers: view.containers.iter().map(fresh).collect(),
            task,
            times: [("createdAt", view.begun), ("updatedAt", view.begun)].into(),
        }
    }

    /// Takes in what happened.
    pub(super) fn note(&mut self, event: &RunnerEvent) {
        if matches!(event.what, What::Log { .. } | What::Warning(_)) {
            return;
        }

        let at = self.begun + event.at;
        self.version += 1;
        self.times.insert("updatedAt", at);

        match &event.container {
            Some(name) => {
                if let Some(one) = self.containers.get_mut(name) {
                    note_container(one, &event.what);
                }
            }
            None => self.note_task(&event.what, at),
        }
    }

    fn note_task(&mut self, what: &What, at: SystemTime) {
        match what {
            What::TaskStopping { code, reason } => {
                self.task["desiredStatus"] = "STOPPED".into();
                self.task["stopCode"] = code.to_string().into();
                self.task["stoppedReason"] = reason.clone().into();
                self.times.entry("stoppingAt").or_insert(at);
            }
            What::Task { status, health } => {
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

    /// What happened, and everything that is known by then.
    pub(super) fn told(&self, event: &RunnerEvent) -> Value {
        let mut told = match &event.what {
            What::Log { stream, line } => {
                let stream = format!("{stream:?}").to_lowercase();
                json!({ "type": "log", "stream": stream, "line": line })
            }
            What::Warning(words) => json!({ "type": "warning", "message": words }),
            _ => self.event(event),
        };

        told["at"] = event.at.as_secs_f64().into();
        told["time"] = rfc3339(self.begun + event.at).into();
        told["container"] = event.container.clone().into();
        for name in ["taskArn", "runName"] {
            told[name] = self.named[name].clone();
        }

        told
    }

    /// The envelope of EventBridge around the task.
    fn event(&self, event: &RunnerEvent) -> Value {
        let kind = match event.container {
            Some(_) => "ECS Container State Change",
            None => "ECS Task State Change",
        };
        json!({ "type": "event", "version": "0", "id": self.event_id(), "source": "assemble.local",
            "detail-type": kind, "account": ACCOUNT, "region": self.named["region"],
            "resources": [self.named["taskArn"]], "detail": self.task(Times::Text) })
    }

    /// The number of the task, and, in place of its middle, that of the event: no other one has both.
    fn event_id(&self) -> String {
        let id = format!("{:0<32}", self.id);
        let (first, last) = (&id[..16], &id[24..32]);
        let (long, short, rest) = (&first[..8], &first[8..12], &first[12..]);
        let count = format!("{:08x}", self.version);
        format!(
            "{long}-{short}-{rest}-{}-{}{last}",
            &count[..4],
            &count[4..]
        )
    }

    /// The task and its containers as ECS tells of them.
    pub(super) fn task(&self, times: Times) -> Value {
        let mut task = self.task.clone();
        task["version"] = self.version.into();
        for (name, time) in &self.times {
            task[*name] = match times {
                Times::Text => rfc3339(*time).into(),
                Times::Seconds => seconds(*time).into(),
            };
        }

        let containers = self
            .order
            .iter()
            .filter_map(|name| self.containers.get(name));

        task["containers"] = containers.cloned().collect();
        task
    }
}

fn note_container(one: &mut Value, what: &What) {
    match what {
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
        _ => {}
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
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
    use task_runner::RunPlan;
    use task_runner::machine::{Health, StopCode};

    const ID: &str = "cd189a933e5849daa93386466019ab50";

    /// A task of two that began a second after the beginning of time.
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
            groups: None,
            kept: [].into(),
            hosts: None,
        };

        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        TaskView::new(&plan, ID, "eu-central-1", begun)
    }

    #[test]
    fn an_event_repeats_what_is_known_of_everybody() {
        let mut lines = Lines::new(&view(), "run/f-1".as_ref());
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
            (&told["runName"], &told["detail"]["group"]),
            (&json!("f-1"), &json!("family:f"))
        );
        assert_eq!(told["detail"]["stopCode"], "EssentialContainerExited");

        assert_eq!(told["detail"]["lastStatus"], "STOPPED");
        assert_eq!(told["detail"]["containers"][0]["exitCode"], 3);
        assert_eq!(told["detail"]["containers"][1]["lastStatus"], "PENDING");
    }

    #[test]
    fn an_event_has_what_eventbridge_gives_all_events() {
        let mut lines = Lines::new(&view(), "run/f-1".as_ref());
        let (status, health) = (TaskStatus::Running, Health::Unknown);
        let event = RunnerEvent {
            at: Duration::from_millis(1500),
            container: None,
            what: What::Task { status, health },
        };

        lines.note(&event);
        let told = lines.told(&event);
        let arn =
            |resource: &str| json!(format!("arn:aws:ecs:eu-central-1:000000000000:{resource}"));
        let task = arn(&format!("task/local/{ID}"));

        for (pointer, wanted) in [
            ("/version", json!("0")),
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
            assert_eq!(told.pointer(pointer), Some(&wanted), "{pointer}\n{told:#}");
        }

        let container = told["detail"]["containers"][0]["containerArn"].as_str();
        let before = format!("arn:aws:ecs:eu-central-1:000000000000:container/local/{ID}/{ID}-");
        assert!(container.unwrap().starts_with(&before), "{told:#}");
        assert!(told["detail"].get("stoppedAt").is_none());
        assert_eq!(lines.task(Times::Seconds)["startedAt"], 2.5);
    }
}
