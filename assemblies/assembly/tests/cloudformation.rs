//! Checks the stacks with independent tools: cfn-lint, botocore's model and AWS's table of actions. They are part of the
//! workspace's `.venv`, which `make setup` creates; without it these tests are skipped with a message.

#![allow(clippy::expect_used, clippy::panic, reason = "a panic fails the test")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use assembly::{Catalog, Plan, Values, plan, render};
use diagnostics::source::Source;
use serde_json::{Value, json};

mod support;

/// Runs a Python program and parses its output as JSON, or returns `None` without Python and that module.
fn run_python(test: &str, module: &str, program: &str, input: &Value) -> Option<Value> {
    let python = support::here("../../.venv/bin/python");
    let check = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .output();

    if !check.is_ok_and(|output| output.status.success()) {
        // Not eprintln: libtest captures it, and shows it only for failed tests.
        let line = format!("skipped: {test} needs .venv with {module}");
        let _ = writeln!(std::io::stderr(), "{line}");
        return None;
    }

    let mut process = Command::new(&python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");

    let mut stdin = process.stdin.take().expect("a pipe");
    stdin
        .write_all(input.to_string().as_bytes())
        .expect("written");
    // Python reads until the end of the input.
    drop(stdin);
    let output = process.wait_with_output().expect("Python ends");

    assert!(output.status.success(), "{test}: Python failed");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// Returns the plans of `tests/stacks/`, of the golden cases that can be planned, and of the shipped assemblies.
fn plans() -> BTreeMap<String, Plan> {
    let mut plans = BTreeMap::new();
    let catalog = support::catalog("tests/catalog");
    // Some cases test findings and have no plan.
    for case in support::entries(&support::here("tests/cases")) {
        let file = case.join("assembly.yaml");
        let source = support::source(&file, &support::name(&file));
        if let Ok(plan) = plan(&source, &catalog, &support::values()) {
            plans.insert(file.to_string_lossy().into_owned(), plan);
        }
    }

    for file in support::entries(&support::here("tests/stacks")) {
        let source = support::source(&file, &support::name(&file));
        let plan = plan(&source, &catalog, &support::values());
        let plan =
            plan.unwrap_or_else(|findings| panic!("{}", support::format_findings(&findings)));
        plans.insert(file.to_string_lossy().into_owned(), plan);
    }

    // Shipped assemblies use the example values, as in `rendered/`.
    let values = root().join("assemblies/values/example.yaml");
    let values = Values::read(&support::source(&values, "example.yaml")).expect("values");
    let catalog = Catalog::read(&support::project_sources());

    for file in support::entries(&root().join("assemblies")) {
        if file.extension().is_some_and(|end| end == "yaml") {
            let source = support::source(&file, &support::name(&file));
            let plan = plan(&source, &catalog, &values).expect("a plan of a shipped assembly");
            plans.insert(file.to_string_lossy().into_owned(), plan);
        }
    }

    plans
}

fn root() -> PathBuf {
    support::here("../..")
}

fn documents(plan: &Plan) -> BTreeMap<String, String> {
    let documents = render(plan).into_iter();
    documents
        .map(|document| (document.path, document.text))
        .collect()
}

fn template(plan: &Plan) -> String {
    documents(plan)
        .remove("cloudformation.yaml")
        .expect("a stack")
}

/// Returns the problems that cfn-lint and the comparison with the other documents find, by stack.
fn check_stacks(stacks: &BTreeMap<String, Value>) -> Option<BTreeMap<String, Vec<String>>> {
    let program = include_str!("cloudformation.py");
    let problems = run_python("the stacks", "cfnlint", program, &json!(stacks))?;
    Some(serde_json::from_value(problems).expect("findings by name"))
}

#[test]
fn stacks_pass_cfn_lint_and_agree_with_the_other_documents() {
    let plans = plans();
    let stacks: BTreeMap<String, Value> = plans
        .iter()
        .map(|(name, plan)| {
            let stack = json!({ "template": template(plan), "documents": documents(plan) });
            (name.clone(), stack)
        })
        .collect();

    // The checks must not pass because there was nothing to check.
    let variants = support::entries(&support::here("tests/stacks")).len();
    assert!(stacks.len() > variants + 8, "only {:?}", stacks.keys());
    let Some(problems) = check_stacks(&stacks) else {
        return;
    };
    let wrong: BTreeMap<_, _> = problems
        .iter()
        .filter(|(_, problems)| !problems.is_empty())
        .collect();

    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(problems.len(), stacks.len());
}

/// Returns the JSON text of the value at a pointer of a stack's template, or `nothing`.
fn value_at(stack: &str, pointer: &str) -> String {
    let file = support::here(&format!("tests/stacks/{stack}.yaml"));
    let source = support::source(&file, stack);
    let catalog = support::catalog("tests/catalog");
    let plan = plan(&source, &catalog, &support::values()).expect("a plan");
    let text = Source::new("cloudformation.yaml", template(&plan));
    let node = diagnostics::source::parse(&text).expect("YAML");
    let value = node.to_json();
    let found = value.pointer(pointer);
    found.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

#[test]
fn every_service_and_trigger_option_reaches_the_stack() {
    let properties = |resource: &str| format!("/Resources/{resource}/Properties");
    let service = |field: &str| format!("{}/{field}", properties("Service"));
    let group = |field: &str| format!("{}/{field}", properties("TargetGroup"));
    let tracking = "TargetTrackingScalingPolicyConfiguration";
    let cpu = |field: &str| format!("{}/{tracking}/{field}", properties("CpuScaling"));
    let metric = "PredefinedMetricSpecification/PredefinedMetricType";

    // Each row: a file of `tests/stacks/`, a pointer into its template, and the JSON found there.
    for (stack, pointer, expected) in [
        ("balanced-by-requests", cpu("ScaleOutCooldown"), "30"),
        ("balanced-by-requests", cpu("ScaleInCooldown"), "120"),
        ("balanced-by-requests", cpu("DisableScaleIn"), "true"),
        (
            "balanced-by-requests",
            cpu(metric),
            "\"ECSServiceAverageCPUUtilizationHighResolution\"",
        ),
        ("balanced-by-requests", group("Protocol"), "\"HTTPS\""),
        // A scaling service must not reset its task count at each deployment.
        ("balanced-by-requests", service("DesiredCount"), "nothing"),
        // A Network Load Balancer leaves TLS to the task.
        ("network-load-balancer", group("Protocol"), "\"TCP\""),
        (
            "network-load-balancer",
            cpu(metric),
            "\"ECSServiceAverageCPUUtilization\"",
        ),
        (
            "network-load-balancer",
            service("LaunchType"),
            "\"FARGATE\"",
        ),
        ("no-load-balancer", group("Protocol"), "nothing"),
        ("no-load-balancer", service("LoadBalancers"), "nothing"),
        ("no-load-balancer", service("DesiredCount"), "1"),
        (
            "no-load-balancer",
            service("DeploymentConfiguration/MinimumHealthyPercent"),
            "50",
        ),
        // Rebalancing starts a task before it stops another.
        (
            "no-load-balancer",
            service("AvailabilityZoneRebalancing"),
            "\"DISABLED\"",
        ),
        (
            "on-spot",
            service("AvailabilityZoneRebalancing"),
            "\"ENABLED\"",
        ),
        // A capacity provider strategy excludes a launch type.
        ("on-spot", service("LaunchType"), "nothing"),
        (
            "on-spot",
            service("CapacityProviderStrategy"),
            r#"[{"CapacityProvider":"FARGATE","Base":2,"Weight":1},{"CapacityProvider":"FARGATE_SPOT","Weight":3}]"#,
        ),
        (
            "all-on-spot",
            service("CapacityProviderStrategy"),
            r#"[{"CapacityProvider":"FARGATE_SPOT","Weight":1}]"#,
        ),
        ("on-arm-with-exec", service("EnableExecuteCommand"), "true"),
        (
            "queued",
            format!("{}/RedrivePolicy/maxReceiveCount", properties("Queue")),
            "3",
        ),
        (
            "queued",
            format!(
                "{}/Targets/0/InputTransformer/InputTemplate",
                properties("Rule")
            ),
            r#""{\"THUMBNAIL_INPUT\":\"s3://<bucket>/<key>\",\"THUMBNAIL_OUTPUT\":\"s3://pictures/<key>.jpg\"}""#,
        ),
        (
            "same-bucket",
            format!("{}/EventPattern/detail/object/key", properties("Rule")),
            r#"[{"wildcard":"in\\*/*.mp4"}]"#,
        ),
        (
            "same-bucket",
            format!(
                "{}/Targets/0/RetryPolicy/MaximumRetryAttempts",
                properties("Rule")
            ),
            "3",
        ),
        (
            "same-bucket",
            "/Resources/FailedQueue".to_owned(),
            "nothing",
        ),
        // `null` in `stack` removes a resource.
        ("overlaid", "/Resources/ExecutionRole".to_owned(), "nothing"),
        (
            "overlaid",
            format!(
                "{}/Policies/0/PolicyDocument/Statement/0/Sid",
                properties("TaskRole")
            ),
            "\"MountShared\"",
        ),
        ("overlaid", "/Outputs/TaskDefinition".to_owned(), "nothing"),
        (
            "overlaid",
            format!("{}/RetentionInDays", properties("LogGroup")),
            "7",
        ),
    ] {
        assert_eq!(value_at(stack, &pointer), expected, "{stack} {pointer}");
    }
}

/// A check that never fails proves nothing, so this test gives it a broken stack.
#[test]
fn the_check_finds_a_wrong_protocol_and_a_different_task() {
    let plans = plans();
    let (_, plan) = plans
        .iter()
        .find(|(name, _)| name.contains("network-load-balancer"))
        .expect("a plan");
    // A misspelt enum value, an unknown metric, and another image than in the task definition.
    let broken = template(plan)
        .replace("Protocol: TCP", "Protocol: TPC")
        .replace("ECSServiceAverageCPUUtilization", "ECSServiceAverageCPUUse")
        .replace(
            "Default: registry.example/coins:1",
            "Default: registry.example/coins:2",
        );

    let stack = json!({ "template": broken, "documents": documents(plan) });
    let Some(problems) = check_stacks(&[("broken".to_owned(), stack)].into()) else {
        return;
    };
    let problems = problems["broken"].join("\n");

    assert!(problems.contains("'TPC' is not one of"), "{problems}");
    assert!(
        problems.contains("ECSServiceAverageCPUUse is not one of"),
        "{problems}"
    );
    assert!(
        problems.contains("the task definition differs"),
        "{problems}"
    );
}

#[test]
fn actions_without_resources_are_those_of_aws() {
    let program = r#"
import json, pathlib, cfnlint
folder = pathlib.Path(cfnlint.__file__).parent / "data/AdditionalSpecs"
table = json.loads((folder / "Policies.json").read_text())
print(json.dumps({
    service: sorted(name for name, action in entry["Actions"].items() if not action.get("Resources"))
    for service, entry in table.items() if "Actions" in entry
}))
"#;

    let Some(from_aws) = run_python("actions without a resource", "cfnlint", program, &json!({}))
    else {
        return;
    };

    // The table is part of the crate, so that checks need no Python.
    let table = include_str!("../data/actions-without-resource.txt");
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let (service, actions) = line.split_once(':').expect("a service");
        let actions: Vec<&str> = actions.split_whitespace().collect();
        assert_eq!(json!(actions), from_aws[service], "{service}");
    }
}
