use diagnostics::Severity;
use task_definition::LifecycleHook;

use crate::launch::LaunchContext;
use crate::rules::roles::find_role_arn_problem;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q14",
    name: "invalid-lifecycle-hook",
    severity: Severity::Error,
    title: "invalid lifecycle hook of a deployment",
    explanation: "A hook names the stages at which it runs. One of type AWS_LAMBDA, the default, \
                  needs hookTargetArn, the ARN of a function, and roleArn. A PAUSE hook has neither, \
                  and cannot be at TEST_TRAFFIC_SHIFT or PRODUCTION_TRAFFIC_SHIFT. The action of a \
                  timeout is ROLLBACK or CONTINUE.",
    source: "ECS API, DeploymentLifecycleHook and DeploymentLifecycleHookTimeoutConfiguration; \
             Terraform AWS provider, aws_ecs_service, lifecycle_hook",
    hint: "Correct the hook.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"] }],
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // A deployment cannot pause while traffic shifts.
    failing: Failing::Change(r#"["POST_SCALE_UP"]"#, r#"["PRODUCTION_TRAFFIC_SHIFT"]"#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let deployment = context
        .service()
        .and_then(|service| service.deployment_configuration.as_ref());
    let hooks = deployment.map_or(&[][..], |deployment| &deployment.lifecycle_hooks);

    for (index, hook) in hooks.iter().enumerate() {
        let pointer = format!("/deploymentConfiguration/lifecycleHooks/{index}");
        let kind = hook.target_type.as_deref();
        report.check_enum(
            &format!("{pointer}/targetType"),
            kind,
            &["AWS_LAMBDA", "PAUSE"],
        );
        check_stages(hook, &pointer, report);
        match kind.unwrap_or("AWS_LAMBDA") {
            "AWS_LAMBDA" => check_function(hook, &pointer, report),
            "PAUSE" => check_pause(hook, &pointer, report),
            _ => {}
        }

        let timeout = hook.timeout_configuration.as_ref();
        let action = timeout.and_then(|timeout| timeout.action.as_deref());
        report.check_enum(
            &format!("{pointer}/timeoutConfiguration/action"),
            action,
            &["ROLLBACK", "CONTINUE"],
        );
        if timeout.and_then(|timeout| timeout.timeout_in_minutes) == Some(0) {
            let pointer = format!("{pointer}/timeoutConfiguration/timeoutInMinutes");
            let message = "a timeout of 0 minutes ends before the hook runs";
            report.add(pointer, message, "write the minutes; the default is 1440");
        }
    }
}

fn check_stages(hook: &LifecycleHook, pointer: &str, report: &mut Report) {
    let pointer = format!("{pointer}/lifecycleStages");
    if hook.lifecycle_stages.is_empty() {
        let message = "a lifecycle hook has no stage, so it never runs";
        let hint = "add \"lifecycleStages\": [\"POST_SCALE_UP\"]";
        report.add(pointer, message, hint);
        return;
    }
    for (index, stage) in hook.lifecycle_stages.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        report.check_enum(&pointer, Some(stage), &STAGES);
        if hook.lifecycle_stages[..index].contains(stage) {
            report.add(
                pointer,
                format!("{stage} is listed twice"),
                "remove one of them",
            );
        }
    }
}

fn check_function(hook: &LifecycleHook, pointer: &str, report: &mut Report) {
    for (field, value, hint) in [
        (
            "hookTargetArn",
            &hook.hook_target_arn,
            "add the ARN of the function",
        ),
        (
            "roleArn",
            &hook.role_arn,
            "add the ARN of a role that may invoke the function",
        ),
    ] {
        if value.as_deref().is_none_or(str::is_empty) {
            let message = format!("a lifecycle hook of type AWS_LAMBDA needs {field}");
            report.add_missing(&format!("{pointer}/{field}"), pointer, message, hint);
        }
    }

    let target = hook
        .hook_target_arn
        .as_deref()
        .filter(|target| !target.is_empty());
    if let Some(problem) = hook
        .role_arn
        .as_deref()
        .filter(|role| !role.is_empty())
        .and_then(find_role_arn_problem)
    {
        let hint = "copy the whole ARN of the role: arn:aws:iam::ACCOUNT:role/NAME";
        report.add(
            format!("{pointer}/roleArn"),
            format!("roleArn {problem}"),
            hint,
        );
    }
    if let Some(target) = target.filter(|target| !is_function(target)) {
        let message = format!("`{target}` is not the ARN of a Lambda function");
        report.add(
            format!("{pointer}/hookTargetArn"),
            message,
            "copy the whole ARN of the function",
        );
    }
}

fn check_pause(hook: &LifecycleHook, pointer: &str, report: &mut Report) {
    for (index, stage) in hook.lifecycle_stages.iter().enumerate() {
        if matches!(
            stage.as_str(),
            "TEST_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT"
        ) {
            let message = format!("a deployment cannot pause at {stage}");
            let hint = format!("pause at POST_{stage}");
            report.add(format!("{pointer}/lifecycleStages/{index}"), message, hint);
        }
    }

    for (field, is_set) in [
        ("hookTargetArn", hook.hook_target_arn.is_some()),
        ("roleArn", hook.role_arn.is_some()),
        ("hookDetails", hook.hook_details.is_some()),
    ] {
        if is_set {
            let message = format!("a PAUSE hook does not use {field}");
            report.warn(
                format!("{pointer}/{field}"),
                message,
                format!("remove `{field}`"),
            );
        }
    }
}

/// Returns whether the text is the ARN of a function, of a version or of an alias of it.
fn is_function(arn: &str) -> bool {
    // arn:partition:lambda:region:account:function:name[:version]
    let parts: Vec<&str> = arn.split(':').collect();
    let &["arn", _, "lambda", _, account, "function", name, ..] = parts.as_slice() else {
        return false;
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    is_account && !name.is_empty() && parts.len() <= 8
}

const STAGES: [&str; 8] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];
