//! Adds the roles to the stack, with the same policies as the files next to the template.

use serde_json::{Map, Value, json};

use super::stack::{Stack, substitute};
use crate::plan::Plan;
use crate::plan::iam::{EVENTS, EXECUTION, PIPE, Role, TASK, role_arn, roles};
use crate::render::iam;

/// Returns the logical id of a role.
pub(super) fn logical_id(suffix: &str) -> &'static str {
    match suffix {
        EXECUTION => "ExecutionRole",
        TASK => "TaskRole",
        EVENTS => "EventsRole",
        PIPE => "PipeRole",
        _ => "OtherRole",
    }
}

/// Returns the fields of the task definition that name a role of the stack, with the roles' logical ids.
///
/// A role that a patch names is not part of the stack.
pub(super) fn task_roles(plan: &Plan) -> Vec<(&'static str, &'static str)> {
    let definition = plan.definition();
    let is_in_stack = |arn: Option<&String>, suffix| {
        let derived = role_arn(&plan.wiring.assembly.account, plan.name(), suffix);
        arn == Some(&derived)
    };
    let mut roles = Vec::new();

    if is_in_stack(definition.task_role_arn.as_ref(), TASK) {
        roles.push(("TaskRoleArn", logical_id(TASK)));
    }
    if is_in_stack(definition.execution_role_arn.as_ref(), EXECUTION) {
        roles.push(("ExecutionRoleArn", logical_id(EXECUTION)));
    }

    roles
}

/// Adds every role that the assembly needs.
pub(super) fn add(stack: &mut Stack, plan: &Plan) {
    let task_roles = task_roles(plan);
    for role in roles(plan, "${Cluster}") {
        let id = logical_id(role.suffix);
        let is_task_role = matches!(role.suffix, EXECUTION | TASK);
        if !is_task_role || task_roles.iter().any(|(_, task_role)| *task_role == id) {
            add_role(stack, plan, &role);
        }
    }
}

fn add_role(stack: &mut Stack, plan: &Plan, role: &Role) {
    let name = logical_id(role.suffix);
    let mut policy = iam::policy(&role.statements);
    // `${Cluster}` in ARNs refers to the stack's parameter, which only `Fn::Sub` resolves.
    substitute_cluster(&mut policy);

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
        stack.comment(name, &path, &why);
    }
}

/// Wraps texts with `${Cluster}` in `Fn::Sub`.
fn substitute_cluster(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("${Cluster}") => *value = substitute(text),
        Value::Array(items) => items.iter_mut().for_each(substitute_cluster),
        Value::Object(fields) => values(fields).for_each(substitute_cluster),
        _ => {}
    }
}

fn values(fields: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    fields.iter_mut().map(|(_, value)| value)
}
