//! The log groups of the containers.

use std::collections::BTreeMap;

use serde_json::json;

use super::check::{Check, CheckGroup, CheckOutcome};
use super::items;
use super::reader::{Answer, Reader, join_all};
use super::request::VerifyRequest;
use crate::api::{Api, Operation};

/// The log groups, by name.
#[derive(Debug)]
pub(super) struct LogGroups {
    groups: BTreeMap<String, Answer>,
}

impl LogGroups {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        let mut groups = BTreeMap::new();
        for container in &request.definition.container_definitions {
            let logs = container.log_configuration.as_ref();
            let Some(logs) = logs.filter(|logs| logs.log_driver == "awslogs") else {
                continue;
            };
            // Other drivers, and FireLens, have no log group to look for.
            let option = |name: &str| logs.options.get(name).map(String::as_str);
            if let Some(group) = option("awslogs-group") {
                let region = option("awslogs-region").unwrap_or(&request.region);
                let is_created = option("awslogs-create-group") == Some("true");
                groups.insert(group.to_owned(), (region.to_owned(), is_created));
            }
        }

        let answers = groups
            .into_iter()
            .map(async |(name, (region, is_created))| {
                let answer = if region != request.region {
                    Answer::not_asked(format!("it is in {region}"))
                } else if is_created {
                    Answer::not_asked("the first task creates it (awslogs-create-group)")
                } else {
                    let body = json!({ "logGroupNamePrefix": name });
                    reader.ask(Operation::DescribeLogGroups, body).await
                };
                (name, answer)
            });

        Self {
            groups: join_all(answers).await.into_iter().collect(),
        }
    }

    /// Returns a check for each log group.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let checks = self.groups.iter().map(|(name, answer)| {
            let outcome = match answer {
                Answer::Unknown(unknown) => unknown.into(),
                // Groups are sorted by name, so one with the whole prefix is the first.
                _ if items(&answer.value()["logGroups"])
                    .any(|group| group["logGroupName"] == name.as_str()) =>
                {
                    CheckOutcome::ok("exists")
                }
                _ if request.is_before_stack => CheckOutcome::skip("the stack creates it"),
                _ => CheckOutcome::fail(
                    "there is no such log group, so containers do not start",
                    format!(
                        "aws logs create-log-group --log-group-name {name}; with `--stack`, what the stack creates may be \
                         missing"
                    ),
                ),
            };
            Check::new(CheckGroup::LogGroups, name.as_str(), outcome)
        });

        checks.collect()
    }
}
