//! What the roles of an assembly may do, each statement with its reason.
//!
//! The execution role is ECS's own: it pulls images, reads secrets, writes logs. The task role is the
//! programs'. Where tasks are started by an event, a third role is that of whoever starts them.

use serde_json::{Map, Value, json};

use super::Plan;
use crate::resolve::Account;

pub(super) mod execution;
pub(super) mod task;
mod trigger;
mod wildcards;

/// A statement of a policy and why it is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statement {
    /// The id, unique in its policy.
    pub sid: String,
    /// The actions.
    pub actions: Vec<String>,
    /// The resources.
    pub resources: Vec<String>,
    /// What must hold besides, in IAM's form; empty for nothing.
    pub condition: Map<String, Value>,
    /// Who needs it.
    pub component: String,
    /// What for.
    pub why: String,
}

/// A role: who may take it on, and what it may do then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The word behind the assembly's name: `execution`.
    pub word: &'static str,
    /// The role's name.
    pub name: String,
    /// What it is for, in a few words.
    pub purpose: &'static str,
    /// The AWS service that may take it on.
    pub trusted: &'static str,
    /// For which of its resources the service may do so.
    pub source: String,
    /// What it may do.
    pub statements: Vec<Statement>,
}

/// Every role of an assembly whose tasks run in that cluster.
pub fn roles(plan: &Plan, cluster: &str) -> Vec<Role> {
    let account = &plan.wiring.assembly.account;
    let role = |word, purpose, statements: &[Statement]| Role {
        word,
        name: role_name(plan.name(), word),
        purpose,
        trusted: "ecs-tasks.amazonaws.com",
        source: account.arn("ecs", "*"),
        statements: statements.to_vec(),
    };

    let mut roles = vec![role(
        EXECUTION,
        "what ECS itself does",
        &plan.execution_role,
    )];

    // A policy without statements is no policy; such a task has no task role.
    if !plan.task_role.is_empty() {
        roles.push(role(TASK, "what the containers do", &plan.task_role));
    }
    roles.extend(trigger::role(plan, cluster));

    roles
}

/// The role of ECS itself.
pub const EXECUTION: &str = "execution";
/// The role of the programs.
pub const TASK: &str = "task";
/// The role of the rule that starts tasks.
pub const EVENTS: &str = "events";
/// The role of the pipe that starts tasks.
pub const PIPE: &str = "pipe";

/// The name of a role of an assembly.
pub(crate) fn role_name(name: &str, role: &str) -> String {
    format!("{name}-{role}")
}

/// The ARN of a role of an assembly.
pub(crate) fn role_arn(account: &Account, name: &str, role: &str) -> String {
    let Account { id, partition, .. } = account;
    format!("arn:{partition}:iam::{id}:role/{}", role_name(name, role))
}

impl Account {
    /// The ARN of something in this account and region.
    pub(crate) fn arn(&self, service: &str, resource: &str) -> String {
        self.arn_in(None, service, resource)
    }

    /// The ARN of something in this account and a region that was named, perhaps.
    fn arn_in(&self, region: Option<&String>, service: &str, resource: &str) -> String {
        let (id, partition) = (&self.id, &self.partition);
        let region = region.unwrap_or(&self.region);
        format!("arn:{partition}:{service}:{region}:{id}:{resource}")
    }
}

/// Charset and digits only, a capital at every beginning: all that a Sid may hold.
pub(crate) fn pascal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter_map(|word| {
        let mut letters = word.chars();
        Some(letters.next()?.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect()
}

/// Sids are unique in a policy.
fn number_twins(statements: &mut [Statement]) {
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

/// An object of JSON as the map it is.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A condition that a value equals this.
fn equals(key: &str, value: impl Into<Value>) -> Map<String, Value> {
    object(json!({ "StringEquals": { key: value.into() } }))
}
