//! The IAM roles of an assembly: their statements, each with its reason.
//!
//! ECS assumes the execution role to pull images, read secrets and write logs. The containers' programs
//! have the task role. If events start tasks, EventBridge has a third role to start them.

use serde_json::{Map, Value, json};

use super::Plan;
use crate::resolve::Account;

pub(super) mod execution;
pub(super) mod task;
mod trigger;
mod wildcards;

/// A statement of a policy, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The id, unique in its policy.
    pub sid: String,
    /// The actions.
    pub actions: Vec<String>,
    /// The resources.
    pub resources: Vec<String>,
    /// The condition in IAM's form; empty for none.
    pub condition: Map<String, Value>,
    /// The component or section of the manifest that needs it.
    pub component: String,
    /// The reason.
    pub why: String,
}

/// A role: its trust and its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The suffix of its name, after the assembly's: `execution`.
    pub suffix: &'static str,
    /// The role's name.
    pub name: String,
    /// Its purpose, in a few words.
    pub purpose: &'static str,
    /// The AWS service that can assume it.
    pub service: &'static str,
    /// The ARN of the resource that the service must act for (`aws:SourceArn`).
    pub source: String,
    /// The statements of its policy.
    pub statements: Vec<Statement>,
}

/// Returns the roles of an assembly with tasks in a cluster.
pub fn roles(plan: &Plan, cluster: &str) -> Vec<Role> {
    let account = &plan.wiring.assembly.account;
    let role = |suffix, purpose, statements: &[Statement]| Role {
        suffix,
        name: role_name(plan.name(), suffix),
        purpose,
        service: "ecs-tasks.amazonaws.com",
        source: account.arn("ecs", "*"),
        statements: statements.to_vec(),
    };

    let mut roles = vec![role(
        EXECUTION,
        "what ECS does on behalf of the task",
        &plan.execution_role,
    )];

    // IAM rejects a policy without statements, so a task that calls no AWS API has no task role.
    if !plan.task_role.is_empty() {
        roles.push(role(TASK, "what the containers do", &plan.task_role));
    }
    roles.extend(trigger::role(plan, cluster));

    roles
}

/// The suffix of the execution role.
pub const EXECUTION: &str = "execution";
/// The suffix of the task role.
pub const TASK: &str = "task";
/// The suffix of the role of the EventBridge rule that starts tasks.
pub const EVENTS: &str = "events";
/// The suffix of the role of the EventBridge pipe that starts tasks.
pub const PIPE: &str = "pipe";

/// Returns the name of a role of an assembly.
pub(crate) fn role_name(name: &str, role: &str) -> String {
    format!("{name}-{role}")
}

/// Returns the ARN of a role of an assembly.
pub(crate) fn role_arn(account: &Account, name: &str, role: &str) -> String {
    // IAM is a global service, so its ARNs have no region.
    let Account { id, partition, .. } = account;
    format!("arn:{partition}:iam::{id}:role/{}", role_name(name, role))
}

impl Account {
    /// Returns the ARN of a resource in this account and region.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        self.arn_in(None, service, resource)
    }

    /// Returns the ARN of a resource in this account and a region, by default the account's.
    fn arn_in(&self, region: Option<&String>, service: &str, resource: &str) -> String {
        let (id, partition) = (&self.id, &self.partition);
        let region = region.unwrap_or(&self.region);
        format!("arn:{partition}:{service}:{region}:{id}:{resource}")
    }
}

/// Returns text in Pascal case; a Sid can contain only ASCII letters and digits.
pub(crate) fn pascal(text: &str) -> String {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| {
            let mut letters = word.chars();
            Some(letters.next()?.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

/// Appends numbers to repeated Sids, which must be unique in a policy.
fn number_duplicates(statements: &mut [Statement]) {
    for index in 1..statements.len() {
        let (before, rest) = statements.split_at_mut(index);
        let plain = rest[0].sid.clone();
        let mut number = 2;
        while before.iter().any(|statement| statement.sid == rest[0].sid) {
            rest[0].sid = format!("{plain}{number}");
            number += 1;
        }
    }
}

/// Returns the map of a JSON object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns a `StringEquals` condition.
fn equals(key: &str, value: impl Into<Value>) -> Map<String, Value> {
    object(json!({ "StringEquals": { key: value.into() } }))
}
