//! Renders the policies of the roles, and a page with the reason of each statement.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::plan::iam::{EXECUTION, Role, Statement, TASK, roles};
use crate::resolve::Account;

/// Returns the files of the roles as (path, text).
pub(super) fn documents(plan: &Plan) -> Vec<(String, String)> {
    let account = &plan.wiring.assembly.account;
    let roles = roles(plan, &account.cluster);
    let mut documents = vec![("iam/README.md".to_owned(), readme(plan, &roles))];

    for role in &roles {
        let (policy, trust) = (policy(&role.statements), trust(role, account));
        // Execution role and task role trust the same service, so they share one trust file.
        if role.suffix == EXECUTION {
            documents.push((trust_file(role), pretty(&trust)));
        }

        documents.push((policy_file(role), pretty(&policy)));
        if role.suffix != EXECUTION && role.suffix != TASK {
            documents.push((trust_file(role), pretty(&trust)));
        }
    }

    documents
}

fn policy_file(role: &Role) -> String {
    format!("iam/{}-role.json", role.suffix)
}

fn trust_file(role: &Role) -> String {
    match role.suffix {
        EXECUTION | TASK => "iam/trust.json".to_owned(),
        suffix => format!("iam/{suffix}-trust.json"),
    }
}

/// Returns a policy document.
pub(super) fn policy(statements: &[Statement]) -> Value {
    let statements: Vec<Value> = statements
        .iter()
        .map(|statement| {
            let mut fields = Map::new();
            let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
            set("Sid", json!(statement.sid));
            set("Effect", json!("Allow"));
            set("Action", json!(statement.actions));
            set("Resource", json!(statement.resources));
            if !statement.condition.is_empty() {
                set("Condition", Value::Object(statement.condition.clone()));
            }
            Value::Object(fields)
        })
        .collect();

    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Returns the trust policy of a role: one service, on behalf of one resource of this account.
///
/// Account and source prevent the confused deputy problem: another customer cannot have the service
/// assume the role.
pub(super) fn trust(role: &Role, account: &Account) -> Value {
    let sid = match role.suffix {
        EXECUTION | TASK => "TasksOnly",
        _ => "StarterOnly",
    };

    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": sid,
            "Effect": "Allow",
            "Principal": { "Service": role.service },
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": { "aws:SourceAccount": account.id },
                "ArnLike": { "aws:SourceArn": role.source },
            },
        }],
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Returns the page next to the policies.
fn readme(plan: &Plan, roles: &[Role]) -> String {
    let mut page = format!(
        "# Roles of {}\n\nMade by `assemble render`; do not edit.\n",
        plan.name()
    );

    for role in roles {
        let Role {
            name,
            purpose,
            service,
            source,
            statements,
            ..
        } = role;

        let (policy, trust) = (policy_file(role), trust_file(role));
        let _ = write!(
            page,
            "\n## `{name}`: {purpose}\n\nPolicy `{}`; trust `{}`: `{service}`, for `{source}`.\n\n{}",
            base(&policy),
            base(&trust),
            table(statements)
        );
    }

    if plan.task_role.is_empty() {
        page.push_str("\n## No task role\n\nNo container calls AWS.\n");
    }
    if plan
        .service()
        .is_some_and(|service| service.min < service.max)
    {
        page.push_str(SCALING);
    }

    page
}

const SCALING: &str = "
## `AWSServiceRoleForApplicationAutoScaling_ECSService`: changing the number of tasks

A service-linked role: Application Auto Scaling creates it on first use, and AWS defines its policy. Whichever
identity creates the first such stack needs `iam:CreateServiceLinkedRole` for
`ecs.application-autoscaling.amazonaws.com`.
";

fn base(path: &str) -> &str {
    path.trim_start_matches("iam/")
}

fn table(statements: &[Statement]) -> String {
    let mut table = String::from(
        "| statement | needed by | actions | resources | reason |\n|---|---|---|---|---|\n",
    );
    for Statement {
        sid,
        component,
        why,
        actions,
        resources,
        condition,
    } in statements
    {
        let mut resources = code(resources);
        // The table has no column for the condition: few statements have one.
        for (test, keys) in condition {
            let _ = write!(resources, "<br>if {test} `{keys}`");
        }

        let _ = writeln!(
            table,
            "| {sid} | {component} | {} | {resources} | {why} |",
            code(actions)
        );
    }

    table
}

fn code(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join("<br>")
}
