//! `deploy --service` and its relatives against `assemble emulate`, where the tasks of a service really run.
#![cfg(all(feature = "up", feature = "aws"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

use serde_json::{Value, json};

#[path = "support/deployments.rs"]
mod deployments;
mod support;

use deployments::{Counter, DEPLOY, Emulator, GROUP, REVISION, SERVICE, output, wait_until};

const RULE: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/1/2";

/// Sends one request on its own connection. Returns the response, or the error of curl.
fn request(url: &str) -> String {
    let output = Command::new("curl")
        .args(["-sS", "-m", "10", url])
        .output()
        .unwrap();
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    String::from_utf8_lossy(&text).into_owned()
}

/// Sends requests while work is done. Returns its result, and the responses with their numbers.
fn under_load<T>(url: &str, work: impl FnOnce() -> T) -> (T, BTreeMap<String, usize>) {
    let is_over = AtomicBool::new(false);
    scope(|scope| {
        let load = scope.spawn(|| {
            let mut responses = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                *responses.entry(request(url)).or_insert(0) += 1;
            }
            responses
        });

        let result = work();
        is_over.store(true, Ordering::Relaxed);
        (result, load.join().unwrap())
    })
}

#[test]
fn a_service_is_deployed_rolled_back_and_scaled() {
    let emulator = Emulator::start();
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    let Some(url) = emulator.create(&breaker, Value::Null) else {
        return eprintln!("skipped: this test needs network namespaces");
    };

    let (run, responses) = under_load(&url, || emulator.deploy("two"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.out, format!("{REVISION}:2\n"), "{run:?}");

    assert!(responses.contains_key("one"), "{responses:?}");
    let is_version = |text: &String| text == "one" || text == "two";
    assert!(
        responses.keys().all(is_version),
        "a request was lost: {responses:?}"
    );
    assert_eq!(request(&url), "two");

    // A second deploy of the same definition.
    let counter = Counter::start(&emulator.endpoint);
    let again = output(emulator.command(&counter.url, &DEPLOY));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("already; nothing was done"), "{again:?}");
    assert!(
        (1..=10).contains(&counter.calls()),
        "{} calls",
        counter.calls()
    );

    let broken = emulator.deploy("broken");
    assert_eq!(
        (broken.code, broken.out.as_str()),
        (Some(3), ""),
        "{broken:?}"
    );
    for text in [
        "circuit breaker: 3 of 3 failures",
        "web  exit 3",
        "EssentialContainerExited: Essential container in task exited",
        &format!("the deployment of {REVISION}:3 failed, and {SERVICE} runs {REVISION}:2 again: "),
    ] {
        assert!(broken.err.contains(text), "{text}: {}", broken.err);
    }
    assert_eq!(request(&url), "two");

    let arguments = [
        "rollback",
        "--service",
        SERVICE,
        "--to",
        "1",
        "--timeout",
        "2m",
    ];
    let back = emulator.assemble(&arguments);
    assert_eq!(
        (back.code, back.out),
        (Some(0), format!("{REVISION}:1\n")),
        "{}",
        back.err
    );
    assert_eq!(request(&url), "one");

    // The rollback's revision is what the new tasks run.
    let scaled = emulator.assemble(&["scale", SERVICE, "3"]);
    assert_eq!(scaled.code, Some(0), "{scaled:?}");
    wait_until("three tasks", || {
        emulator.status().contains("3 of 3 tasks running")
    });
    assert!(emulator.status().contains("web:1"), "{}", emulator.status());
}

#[test]
fn a_hook_that_waits_is_answered_by_continue_and_by_rollback() {
    let emulator = Emulator::start();

    let mut canary = json!({
        "strategy": "CANARY", "bakeTimeInMinutes": 0,
        // A minute is a second here.
        "canaryConfiguration": { "canaryPercent": 50.0, "canaryBakeTimeInMinutes": 1 },
    });
    let advanced = json!({
        "alternateTargetGroupArn": format!("{GROUP}b"), "roleArn": "arn:aws:iam::000000000000:role/ecs",
        "productionListenerRule": format!("{RULE}/3"), "testListenerRule": format!("{RULE}/4"),
    });
    let Some(url) = emulator.create(&canary, advanced) else {
        return eprintln!("skipped: this test needs network namespaces");
    };
    canary["lifecycleHooks"] =
        json!([{ "targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"] }]);
    let update = json!({ "service": "web", "deploymentConfiguration": canary });
    emulator.call("UpdateService", &update);

    let mut deploy = emulator.deploy_until_it_waits("two");
    assert_eq!(request(&url), "one", "production traffic has not moved");
    assert!(
        emulator.status().contains("waits for an answer"),
        "{}",
        emulator.status()
    );
    let answer = emulator.assemble(&["continue", SERVICE]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let code = deploy.wait().unwrap().code();
    assert_eq!(code, Some(0), "{}", emulator.project.read("deploy"));
    assert_eq!(request(&url), "two");

    let mut deploy = emulator.deploy_until_it_waits("three");
    let answer = emulator.assemble(&["rollback", "--service", SERVICE]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let code = deploy.wait().unwrap().code();
    let err = emulator.project.read("deploy");
    assert_eq!(code, Some(3), "{err}");
    let back = format!("{SERVICE} runs {REVISION}:2 again");
    assert!(err.contains(&back), "{back}: {err}");
    assert_eq!(request(&url), "two");

    // Nothing waits any more.
    let answer = emulator.assemble(&["continue", SERVICE]);
    assert_eq!(answer.code, Some(3), "{answer:?}");
}
