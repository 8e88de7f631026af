//! The events of a service, and what EventBridge gets.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::Service;
use crate::arn::random_uuid;
use crate::clusters;
use crate::deployment::{Note, Outcome};
use crate::state::State;
use crate::time::{TimeFormat, seconds, to_json};

/// A message in `events` of DescribeServices.
#[derive(Debug, Clone)]
pub(super) struct Message {
    id: String,
    created: SystemTime,
    text: String,
}

impl Message {
    pub(super) fn to_json(&self) -> Value {
        json!({ "id": self.id, "createdAt": seconds(self.created), "message": self.text })
    }
}

impl Service {
    /// Adds a message about the service: `(service web) …`.
    pub(super) fn say(&mut self, text: &str, now: SystemTime) {
        self.messages.push_back(Message {
            id: random_uuid(),
            created: now,
            text: format!("(service {}) {text}", self.name),
        });
        if self.messages.len() > MAX_MESSAGES {
            self.messages.pop_front();
        }
    }

    /// Returns the text of a note, in the words of ECS ("Amazon ECS service event messages").
    fn note_text(&self, note: Note) -> String {
        let deployment = |number: u64| {
            let mut all = self.scheduler.deployments();
            all.find(|deployment| deployment.number == number)
        };

        let id = |number| deployment(number).map_or("", |own| self.deployment_id(own.target));

        match note {
            Note::SteadyState => "has reached a steady state.".to_owned(),
            Note::Completed { revision } => {
                format!(
                    "(deployment {}) deployment completed.",
                    self.deployment_id(revision)
                )
            }
            Note::Failed { deployment: number } => {
                let reason = deployment(number).and_then(|own| own.reason.as_deref());
                let reason = reason.unwrap_or("tasks failed to start.");
                // ECS names the cause in rolloutStateReason, and only the symptom here.
                let reason = reason.rsplit(": ").next().unwrap_or(reason);
                format!("(deployment {}) deployment failed: {reason}", id(number))
            }
            Note::RollingBack { revision } => {
                format!(
                    "rolling back to deployment {}.",
                    self.deployment_id(revision)
                )
            }
            Note::Unhealthy { task } => {
                let task = self.tasks.get(&task);
                let id = task.map_or("", |task| &task.id);
                match task.and_then(|task| task.failed_in.as_deref()) {
                    Some(group) => format!("(task {id}) is unhealthy in (target-group {group})."),
                    None => format!("(task {id}) failed container health checks."),
                }
            }
            Note::Unstable => "is unable to consistently start tasks successfully. For more \
                 information, see the Troubleshooting section."
                .to_owned(),
            Note::Stuck => "was unable to stop or start tasks during a deployment because of the \
                 service deployment configuration. Update the minimumHealthyPercent or \
                 maximumPercent value and try again."
                .to_owned(),
        }
    }
}

impl State {
    /// Reports a note to the service's events, and what EventBridge knows of it.
    pub(super) fn report(&mut self, service: &mut Service, note: Note, now: SystemTime) {
        let text = service.note_text(note);
        service.say(&text, now);

        let (kind, name) = match note {
            Note::SteadyState => ("INFO", "SERVICE_STEADY_STATE"),
            Note::Unstable => ("WARN", "SERVICE_TASK_START_IMPAIRED"),
            // EventBridge has no event for the others, or gets it as a deployment event.
            _ => return,
        };

        let detail = json!({
            "eventType": kind,
            "eventName": name,
            "clusterArn": clusters::arn(&self.owner, &service.cluster),
            "createdAt": to_json(now, TimeFormat::Rfc3339),
        });

        let arn = service.arn(&self.owner);
        self.events
            .push(&self.owner, "ECS Service Action", &[arn], detail, now);
    }

    /// Reports a state of a deployment to EventBridge.
    pub(super) fn publish(
        &mut self,
        service: &Service,
        revision: u64,
        outcome: Outcome,
        reason: &str,
        now: SystemTime,
    ) {
        let id = service.deployment_id(revision);
        let (kind, name, reason) = match outcome {
            Outcome::InProgress => (
                "INFO",
                "SERVICE_DEPLOYMENT_IN_PROGRESS",
                format!("ECS deployment {id} in progress."),
            ),
            Outcome::Completed => (
                "INFO",
                "SERVICE_DEPLOYMENT_COMPLETED",
                format!("ECS deployment {id} completed."),
            ),
            Outcome::Failed => ("ERROR", "SERVICE_DEPLOYMENT_FAILED", reason.to_owned()),
        };

        let detail = json!({
            "eventType": kind,
            "eventName": name,
            "deploymentId": id,
            "updatedAt": to_json(now, TimeFormat::Rfc3339),
            "reason": reason,
        });

        let arn = service.arn(&self.owner);
        self.events.push(
            &self.owner,
            "ECS Deployment State Change",
            &[arn],
            detail,
            now,
        );
    }
}

/// DescribeServices returns the last 100.
const MAX_MESSAGES: usize = 100;
