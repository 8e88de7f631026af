//! Prints what happens to a stack, and how it ended.

use ecs_client::{FailedResource, StackEvent, StackOutcome};

use crate::commands::deploy::Reporter as ServiceReporter;
use crate::error::CliError;
use crate::ui::Ui;

/// Prints events as messages.
pub(super) struct Reporter<'a> {
    ui: &'a Ui,
    /// The cause of the last retry, which is printed once.
    last_retry: String,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(ui: &'a Ui) -> Self {
        Self {
            ui,
            last_retry: String::new(),
        }
    }

    pub(super) fn print(&mut self, event: StackEvent<'_>) {
        let line = match event {
            StackEvent::Busy { status } => {
                format!(
                    "another operation of the stack is in progress ({status}); waiting for its end"
                )
            }
            StackEvent::Resource { reason, .. } if reason.is_some_and(is_noise) => return,
            StackEvent::Resource {
                name,
                kind,
                status,
                reason,
            } => {
                let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
                format!("{status}  {name}  {kind}{reason}")
            }
            StackEvent::Service { service, event } => {
                ServiceReporter::new(service, self.ui).print(event);
                return;
            }
            StackEvent::Retry { reason } if reason == self.last_retry => return,
            StackEvent::Retry { reason } => {
                reason.clone_into(&mut self.last_retry);
                format!("  {reason}; trying again")
            }
            _ => return,
        };
        self.ui.message(&line);
    }
}

/// Returns whether a reason only says that something goes on, after an event that said so.
fn is_noise(reason: &str) -> bool {
    matches!(
        reason,
        "Resource creation Initiated" | "Eventual consistency check initiated"
    )
}

/// Returns the error of a failed operation.
pub(crate) fn failure(stack: &str, outcome: &StackOutcome) -> CliError {
    let StackOutcome::Failed { status, cause } = outcome else {
        return CliError::Refused(format!("the stack `{stack}` failed"));
    };
    let cause_text = cause.as_ref().map_or_else(String::new, |cause| {
        format!(
            "\n{} ({}): {}{}",
            cause.name,
            cause.kind,
            cause.reason,
            advice(cause)
        )
    });
    let state = match status.as_str() {
        "UPDATE_ROLLBACK_COMPLETE" => "; CloudFormation went back, and what ran before runs again",
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => {
            "; after the correction the same command deletes the stack and creates it anew"
        }
        _ => "",
    };
    CliError::Refused(format!(
        "the change of the stack `{stack}` failed ({status}){state}{cause_text}"
    ))
}

/// Returns what to do about a resource that exists outside of the stack.
fn advice(cause: &FailedResource) -> &'static str {
    if !cause.reason.contains("already exists") && !cause.reason.contains("AlreadyExists") {
        return "";
    }
    match (cause.kind.as_str(), cause.name.as_str()) {
        ("AWS::S3::Bucket", "OutputBucket") => {
            "\nto use the bucket that exists, set `make_output_bucket: \"no\"` in the values"
        }
        ("AWS::S3::Bucket", _) => {
            "\nto use the bucket that exists, set `make_bucket: \"no\"` in the values"
        }
        ("AWS::Logs::LogGroup", _) => {
            "\nthe log group is left from an earlier stack; delete it with `aws logs delete-log-group`, or keep its lines \
             under another name of the assembly"
        }
        _ => "\ndelete it, or rename the assembly",
    }
}

#[cfg(test)]
mod tests {
    use ecs_client::{FailedResource, StackOutcome};

    use super::failure;

    #[test]
    fn an_existing_resource_has_its_own_advice() {
        for (kind, expected) in [
            ("AWS::S3::Bucket", "make_bucket"),
            ("AWS::Logs::LogGroup", "delete-log-group"),
            ("AWS::IAM::Role", "rename the assembly"),
        ] {
            let outcome = StackOutcome::Failed {
                status: "ROLLBACK_COMPLETE".to_owned(),
                cause: Some(FailedResource {
                    name: "Thing".to_owned(),
                    kind: kind.to_owned(),
                    reason: "it already exists".to_owned(),
                }),
            };
            let text = failure("shop", &outcome).to_string();
            assert!(
                text.contains(expected) && text.contains("creates it anew"),
                "{text}"
            );
        }
    }
}
