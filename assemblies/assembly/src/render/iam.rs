//! Policies as IAM takes them, and a page that says why each statement is there.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::plan::Plan;
use crate::plan::iam::{Statement, role_name};

/// A policy document.
pub(super) fn policy(statements: &[Statement]) -> String {
    let statements: Vec<Value> = statements
        .iter()
        .map(|statement| {
            json!({
                "Sid": statement.sid,
                "Effect": "Allow",
                "Action": statement.actions,
                "Resource": statement.resources,
            })
        })
        .collect();
    pretty(&json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// Who may take on either role: ECS, for a task.
pub(super) fn trust() -> String {
    pretty(&json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "TasksOnly",
            "Effect": "Allow",
            "Principal": { "Service": "ecs-tasks.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }],
    }))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The page beside the policies.
pub(super) fn readme(plan: &Plan) -> String {
    let name = plan.name();
    let mut page = format!(
        "# Roles of {name}\n\nMade by `assemble render`; do not edit. Both roles are trusted with `trust.json`.\n"
    );
    let execution = role_name(name, "execution");
    let _ = write!(
        page,
        "\n## `{execution}`: what ECS itself does (`execution-role.json`)\n\n{}",
        table(&plan.execution_role)
    );
    let task = role_name(name, "task");
    if plan.task_role.is_empty() {
        page.push_str("\n## No task role\n\nNo container calls AWS.\n");
    } else {
        let _ = write!(
            page,
            "\n## `{task}`: what the containers do (`task-role.json`)\n\n{}",
            table(&plan.task_role)
        );
    }
    page
}

fn table(statements: &[Statement]) -> String {
    let mut table = String::from("| statement | who | why |\n|---|---|---|\n");
    for Statement {
        sid,
        component,
        why,
        ..
    } in statements
    {
        let _ = writeln!(table, "| {sid} | {component} | {why} |");
    }
    table
}
