use diagnostics::Severity;
use task_definition::TaskOverride;

use crate::launch::LaunchContext;
use crate::rules::shared::suggest_container;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q01",
    name: "run-task-limits",
    severity: Severity::Error,
    title: "RunTask request exceeds a limit",
    explanation: "RunTask starts at most ten tasks. Its overrides have at most 8192 characters of \
                  JSON, startedBy 128 and clientToken 64, and an override names a container of the \
                  definition. ECS rejects longer overrides with \"container overrides length must be \
                  at most 8192\".",
    source: "ECS API, RunTask, fields count, overrides, startedBy and clientToken; ECS error \
                  message",
    hint: "Send several requests, or pass less data.",
    passing: with_definition!(
        r#"  "runTask": {
    "taskDefinition": "web:3",
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "count": 10,
    "overrides": { "containerOverrides": [{ "name": "app", "command": ["once"] }] }
  }"#
    ),
    // 11 tasks in one request.
    failing: Failing::Change(
        r#""count": 10,
    "overrides": { "containerOverrides": [{ "name": "app", "command": ["once"] }] }"#,
        r#""count": 11"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(run) = context.run_task() else {
        return;
    };
    if let Some(count) = run.count.filter(|count| !(1..=10).contains(count)) {
        let message = format!("one request starts 1 to 10 tasks, not {count}");
        report.add(
            "/count",
            message,
            "send several requests, or make it a service",
        );
    }

    for (field, text, max) in [
        ("startedBy", &run.started_by, 128),
        ("clientToken", &run.client_token, 64),
    ] {
        let length = text.as_deref().map_or(0, |text| text.chars().count());
        if length > max {
            let message = format!("{field} has {length} characters; the limit is {max}");
            report.add(format!("/{field}"), message, format!("shorten {field}"));
        }
    }

    let Some(overrides) = &run.overrides else {
        return;
    };
    // ECS counts the serialized overrides, not the text of the request.
    let length = serde_json::to_string(overrides).map_or(0, |text| text.chars().count());

    if length > 8192 {
        let message = format!("the overrides have {length} characters of JSON; the limit is 8192");
        let hint = "pass the name of an S3 object instead of its content";
        report.add("/overrides", message, hint);
    }

    check_names(context, overrides, report);
}

fn check_names(context: &LaunchContext<'_>, overrides: &TaskOverride, report: &mut Report) {
    for (index, entry) in overrides.container_overrides.iter().enumerate() {
        let enclosing = format!("/overrides/containerOverrides/{index}");
        let Some(name) = &entry.name else {
            let message = "an override has no container name";
            report.add(enclosing, message, "add \"name\": \"…\"");
            continue;
        };

        // Without the definition its containers are unknown.
        let Some(definition) = context.definition else {
            continue;
        };
        if definition.container(name).is_none() {
            let message = format!("the definition has no container `{name}` to override");
            report.add(
                format!("{enclosing}/name"),
                message,
                suggest_container(definition, name),
            );
        }
    }
}
