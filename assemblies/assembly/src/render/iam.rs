//! Policies as IAM takes them, and a page that says why each statement is there.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::plan::Plan;
use crate::plan::iam::{EXECUTION, Role, Statement, TASK, roles};
use crate::resolve::Account;

/// Every file about roles, with its path.
pub(super) fn documents(plan: &Plan) -> Vec<(String, String)> {
    let account = &plan.wiring.assembly.account;
    let roles = roles(plan, &account.cluster);
    let mut documents = vec![("iam/README.md".to_owned(), readme(plan, &roles))];

    for role in &roles {
        let (policy, trust) = (policy(&role.statements), trust(role, account));
        // The two roles of a task trust the same service, and share a file.
        if role.word == EXECUTION {
            documents.push((trust_file(role), pretty(&trust)));
        }

        documents.push((policy_file(role), pretty(&policy)));
        if role.word != EXECUTION && role.word != TASK {
            documents.push((trust_file(role), pretty(&trust)));
        }
    }

    documents
}

fn policy_file(role: &Role) -> String {
    format!("iam/{}-role.json", role.word)
}

fn trust_file(role: &Role) -> String {
    match role.word {
        EXECUTION | TASK => "iam/trust.json".to_owned(),
        word => format!("iam/{word}-trust.json"),
    }
}

/// A policy document.
pub(super) fn policy(statements: &[Statement]) -> Value {
    let statements: Vec<Value> = statements
        .iter()
        .map(|statement| {
            let mut fields = Map::new();
            let mut say = |name: &str, value: Value| fields.insert(name.to_owned(), value);
            say("Sid", json!(statement.sid));
            say("Effect", json!("Allow"));
            say("Action", json!(statement.actions));
            say("Resource", json!(statement.resources));
            if !statement.condition.is_empty() {
                say("Condition", Value::Object(statement.condition.clone()));
            }
            Value::Object(fields)
        })
        .collect();

    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// Who may take on a role: one service, for this account and its own resource only, so that nobody can make
/// the service act for somebody else.
pub(super) fn trust(role: &Role, account: &Account) -> Value {
    let sid = match role.word {
        EXECUTION | TASK => "TasksOnly",
        _ => "StarterOnly",
    };

    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": sid,
            "Effect": "Allow",
            "Principal": { "Service": role.trusted },
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

/// The page beside the policies.
fn readme(plan: &Plan, roles: &[Role]) -> String {
    let mut page = format!(
        "# Roles of {}\n\nMade by `assemble render`; do not edit.\n",
        plan.name()
    );

    for role in roles {
        let Role {
            name,
            purpose,
            trusted,
            source,
            statements,
            ..
        } = role;

        let (policy, trust) = (policy_file(role), trust_file(role));
        let _ = write!(
            page,
            "\n## `{name}`: {purpose}\n\nPolicy `{}`; trust `{}`: `{trusted}`, for `{source}`.\n\n{}",
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
## `AWSServiceRoleForApplicationAutoScaling_ECSService`: changing how many tasks there are

AWS's own, linked to the service: Application Auto Scaling makes it on first use, its policy is not ours to
write. Who creates the stack needs `iam:CreateServiceLinkedRole` for
`ecs.application-autoscaling.amazonaws.com` the first time.
";

fn base(path: &str) -> &str {
    path.trim_start_matches("iam/")
}

fn table(statements: &[Statement]) -> String {
    let mut table = String::from("| statement | who | may | on | why |\n|---|---|---|---|---|\n");
    for Statement {
        sid,
        component,
        why,
        actions,
        resources,
        condition,
    } in statements
    {
        let mut on = code(resources);
        for (test, keys) in condition {
            let _ = write!(on, "<br>if {test} `{keys}`");
        }

        let _ = writeln!(
            table,
            "| {sid} | {component} | {} | {on} | {why} |",
            code(actions)
        );
    }

    table
}

fn code(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join("<br>")
}
