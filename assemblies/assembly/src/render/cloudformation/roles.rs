//! The roles, as the files beside the template have them.

use serde_json::{Map, Value, json};

use super::stack::{Stack, filled};
use crate::plan::Plan;
use crate::plan::iam::{EVENTS, EXECUTION, PIPE, Role, TASK, role_arn, roles};
use crate::render::iam;

/// The logical name of a role.
pub(super) fn logical(word: &str) -> &'static str {
    match word {
        EXECUTION => "ExecutionRole",
        TASK => "TaskRole",
        EVENTS => "EventsRole",
        PIPE => "PipeRole",
        _ => "OtherRole",
    }
}

/// The fields of the task definition that name roles which the stack makes, and their logical names. A role
/// that a patch brings in is somebody else's.
pub(super) fn task_roles(plan: &Plan) -> Vec<(&'static str, &'static str)> {
    let definition = plan.definition();
    let made = |named: Option<&String>, word| {
        let ours = role_arn(&plan.wiring.assembly.account, plan.name(), word);
        named == Some(&ours)
    };
    let mut roles = Vec::new();

    if made(definition.task_role_arn.as_ref(), TASK) {
        roles.push(("TaskRoleArn", logical(TASK)));
    }
    if made(definition.execution_role_arn.as_ref(), EXECUTION) {
        roles.push(("ExecutionRoleArn", logical(EXECUTION)));
    }

    roles
}

/// Adds every role that the assembly needs.
pub(super) fn add(stack: &mut Stack, plan: &Plan) {
    let made = task_roles(plan);
    for role in roles(plan, "${Cluster}") {
        let name = logical(role.word);
        let of_task = matches!(role.word, EXECUTION | TASK);
        if !of_task || made.iter().any(|(_, one)| *one == name) {
            add_role(stack, plan, &role);
        }
    }
}

fn add_role(stack: &mut Stack, plan: &Plan, role: &Role) {
    let name = logical(role.word);
    let mut policy = iam::policy(&role.statements);
    fill(&mut policy);

    let properties = json!({
        "RoleName": role.name,
        "AssumeRolePolicyDocument": iam::trust(role, &plan.wiring.assembly.account),
        "Policies": [{ "PolicyName": role.name, "PolicyDocument": policy }],
    });

    stack.resource(
        name,
        "AWS::IAM::Role",
        &format!("For {}.", role.purpose),
        properties,
    );

    for (index, statement) in role.statements.iter().enumerate() {
        let path = format!("Policies/0/PolicyDocument/Statement/{index}");
        let why = format!("{}: {}.", statement.component, statement.why);
        stack.say(name, &path, &why);
    }
}

/// Texts that name the cluster are filled from the parameter.
fn fill(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${Cluster}") => *value = filled(text),
        Value::Array(items) => items.iter_mut().for_each(fill),
        Value::Object(fields) => values(fields).for_each(fill),
        _ => {}
    }
}

fn values(fields: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    fields.iter_mut().map(|(_, value)| value)
}
