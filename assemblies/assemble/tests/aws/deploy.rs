//! `deploy`, `rollback`, `continue`, `status`, `scale` and `diff --service`.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{aws, command, wait_until};
use crate::service::Service;
use crate::support::Project;

const SERVICE: [&str; 2] = ["--service", "main/web"];
const START: &str = "arn:aws:ecs:eu-central-1:210987654321";

fn deploy(project: &Project, service: &Service, more: &[&str]) -> crate::support::CommandOutput {
    aws(
        project,
        service.url(),
        &[&["deploy"][..], &SERVICE, more].concat(),
    )
}

#[test]
fn deploys_an_image_and_shows_what_happens() {
    let (project, service) = (Project::empty(), Service::new());
    let run = deploy(&project, &service, &["--image", "app=app:2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(run.out, format!("{START}:task-definition/web:2\n"));
    assert!(
        run.err
            .contains("container app\n  image\n    - \"app:1\"\n    + \"app:2\"\n"),
        "{}",
        run.err
    );
    for line in [
        "SCALE_UP: 1 of 2 tasks running, 1 starting; before: 1 running",
        "BAKE_TIME: 2 of 2 tasks running",
    ] {
        assert!(run.err.contains(line), "{line}: {}", run.err);
    }
    assert_eq!(
        service.http.body("UpdateService"),
        json!({ "cluster": "main", "service": "web", "taskDefinition": format!("{START}:task-definition/web:2") })
    );

    let before = service.calls();
    let again = deploy(&project, &service, &["--image", "app=app:2"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.err.contains("already; nothing was done"),
        "{}",
        again.err
    );
    assert!(
        service.calls() - before <= 10,
        "{}",
        service.calls() - before
    );
}

#[test]
fn a_rollback_is_an_error_with_its_reason() {
    let (project, service) = (Project::empty(), Service::new());
    let run = deploy(&project, &service, &["--image", "app=app:bad"]);
    assert_eq!((run.code, run.out.as_str()), (Some(3), ""), "{run:?}");
    for text in [
        "app  exit 3",
        "app | no such table: users",
        "circuit breaker: 3 of 3 failures",
        "main/web runs arn:aws:ecs:eu-central-1:210987654321:task-definition/web:1 again: tasks failed to start",
    ] {
        assert!(run.err.contains(text), "{text}: {}", run.err);
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let (project, service) = (Project::empty(), Service::new());
    let run = deploy(&project, &service, &["--image", "app=app:2", "--dry-run"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains("+ \"app:2\""), "{}", run.err);
    assert_eq!(service.http.count("RegisterTaskDefinition"), 0);
    assert_eq!(service.http.count("UpdateService"), 0);
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let (project, service) = (Project::empty(), Service::new());
    for (more, text) in [
        (&["--image", "app"][..], "expected a name, `=` and a value"),
        (&["--image", "app="], "has no image"),
        (&["--image", "app=a", "--image", "app=b"], "twice"),
        (&["--image", "ap=app:2"], "it has app, proxy"),
        (&[], "<NAME|FILE>"),
    ] {
        let run = deploy(&project, &service, more);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains(text), "{text}: {}", run.err);
    }
    let run = aws(
        &project,
        service.url(),
        &["deploy", "--service", "web", "--image", "app=a"],
    );
    assert!(
        run.code == Some(2) && run.err.contains("CLUSTER/SERVICE"),
        "{run:?}"
    );
    assert_eq!(service.http.count("UpdateService"), 0);
}

/// Sends a signal to a deploy as soon as it is at a call. Returns the exit code and stderr.
fn interrupt(
    service: &Service,
    is_there: impl Fn() -> bool,
    signal: &str,
) -> (Option<i32>, String) {
    let project = Project::empty();
    let arguments = [&["deploy"][..], &SERVICE, &["--image", "app=app:2"]].concat();
    let mut run = command(&project, service.url(), &arguments);
    let child = run
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = child.spawn().unwrap();

    wait_until("the call", is_there);
    let id = child.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status().unwrap();
    assert!(sent.success());

    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), text)
}

#[test]
fn signals_end_the_wait_and_not_the_deployment() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let service = Service::with(|state| state.pauses = true);
        let is_there = || service.http.count("DescribeServiceDeployments") > 0;
        let (found, text) = interrupt(&service, is_there, signal);
        assert_eq!(found, Some(code), "{text}");
        assert!(
            text.contains("the deployment goes on on AWS; to look: assemble status main/web"),
            "{text}"
        );
        assert_eq!(service.http.count("UpdateService"), 1);
    }
}

#[test]
fn a_signal_before_the_deployment_says_what_was_changed() {
    for (operation, expected) in [
        ("ListServiceDeployments", "nothing was changed"),
        ("UpdateService", "the service may have been updated"),
    ] {
        let service = Service::holding(operation);
        let (code, text) = interrupt(&service, || service.is_held(), "-INT");
        assert_eq!(code, Some(130), "{text}");
        assert!(text.contains(expected), "{operation}: {text}");
    }
}

#[test]
fn a_fault_says_how_to_go_on() {
    let project = Project::empty();
    for (operation, expected) in [
        ("UpdateService", "run the same command again"),
        (
            "DescribeServices",
            "unexpected response to DescribeServices (HTTP 503)",
        ),
    ] {
        let service = Service::failing(operation);
        let run = deploy(&project, &service, &["--image", "app=app:2"]);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(run.err.contains(expected), "{operation}: {}", run.err);
        assert_eq!(service.http.count(operation), 3, "three attempts");
    }
}

#[test]
fn a_hook_that_waits_is_shown_and_answered() {
    let project = Project::empty();
    let service = Service::with(|state| state.pauses = true);
    let begun = deploy(&project, &service, &["--image", "app=app:2", "--no-wait"]);
    assert_eq!(begun.code, Some(0), "{begun:?}");
    assert!(begun.out.contains("web:2"), "{begun:?}");

    // The fake goes on with each look.
    let mut status = String::new();
    for _ in 0..3 {
        let before = service.calls();
        status = aws(&project, service.url(), &["status", "main/web"]).out;
        assert!(
            service.calls() - before <= 2,
            "{}",
            service.calls() - before
        );
    }
    assert!(
        status.contains("waits for an answer (ROLLBACK in ")
            && status.contains("assemble continue main/web"),
        "{status}"
    );
    let answered = aws(&project, service.url(), &["continue", "main/web"]);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert_eq!(
        service.http.body("ContinueServiceDeployment")["action"],
        "CONTINUE"
    );

    aws(&project, service.url(), &["status", "main/web"]);
    let nothing = aws(&project, service.url(), &["continue", "main/web"]);
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    assert!(
        nothing
            .err
            .contains("no deployment to main/web is in progress"),
        "{nothing:?}"
    );

    let json = aws(
        &project,
        service.url(),
        &["status", "main/web", "--format", "json"],
    )
    .json();
    assert_eq!(json["services"][0]["serviceName"], "web");
}

#[test]
fn goes_back_to_the_revision_before() {
    let (project, service) = (Project::empty(), Service::new());
    let run = deploy(&project, &service, &["--image", "app=app:2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let back = aws(
        &project,
        service.url(),
        &[&["rollback"][..], &SERVICE].concat(),
    );
    assert_eq!(back.code, Some(0), "{back:?}");
    assert_eq!(back.out, format!("{START}:task-definition/web:1\n"));
    assert!(back.err.contains("the service is updated"), "{}", back.err);
    assert!(back.err.contains("+ \"app:1\""), "{}", back.err);
}

#[test]
fn scaling_stays_within_the_limits_of_the_auto_scaling() {
    let project = Project::empty();
    let service = Service::with(|state| {
        state.scaling = json!([{ "MinCapacity": 1, "MaxCapacity": 4 }]);
    });
    let scale = |more: &[&str]| {
        aws(
            &project,
            service.url(),
            &[&["scale", "main/web"][..], more].concat(),
        )
    };

    let refused = scale(&["5"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("keeps 1 to 4 tasks"),
        "{}",
        refused.err
    );
    assert_eq!(service.http.count("UpdateService"), 0);

    assert_eq!(scale(&["3"]).code, Some(0));
    assert_eq!(
        service.http.body("UpdateService"),
        json!({ "cluster": "main", "service": "web", "desiredCount": 3 })
    );
    assert_eq!(scale(&["8", "--max", "10"]).code, Some(0));
    let limits = service.http.body("RegisterScalableTarget");
    assert_eq!(
        (&limits["MinCapacity"], &limits["MaxCapacity"]),
        (&json!(1), &json!(10))
    );
    assert_eq!(scale(&["--min", "9", "--max", "2"]).code, Some(2));
}

#[test]
fn compares_with_what_a_service_runs() {
    let (project, service) = (Project::empty(), Service::new());
    let mut wanted = crate::service_fake::definition();
    for (place, field) in [
        ("", "zNewerThanThisProgram"),
        ("/containerDefinitions/0", "newer"),
    ] {
        wanted
            .pointer_mut(place)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(field);
    }
    wanted["containerDefinitions"][0]["image"] = "app:2".into();
    wanted["containerDefinitions"][1]["image"] = "proxy:1".into();
    project.write("task.json", wanted.to_string());

    let arguments = [&["diff", "task.json"][..], &SERVICE].concat();
    let diff = aws(&project, service.url(), &arguments);
    assert_eq!(diff.code, Some(1), "{diff:?}");
    assert_eq!(
        diff.out,
        "container app\n  image\n    - \"app:1\"\n    + \"app:2\"\n"
    );
    let json = aws(
        &project,
        service.url(),
        &[&arguments[..], &["--format", "json"]].concat(),
    )
    .json();
    assert_eq!(
        json["changes"],
        json!([{ "place": "container app", "path": "image", "before": "app:1", "after": "app:2" }])
    );

    let deployed = aws(
        &project,
        service.url(),
        &[&["deploy", "task.json"][..], &SERVICE].concat(),
    );
    assert_eq!(deployed.code, Some(0), "{deployed:?}");
    let same = aws(&project, service.url(), &arguments);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:?}");
}

#[test]
fn other_controllers_are_refused() {
    let project = Project::empty();
    let service = Service::with(|state| {
        state.service["deploymentController"] = json!({ "type": "CODE_DEPLOY" });
    });
    let run = deploy(&project, &service, &["--image", "app=app:2"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(
        run.err.contains("CODE_DEPLOY; deploy it with CodeDeploy"),
        "{}",
        run.err
    );
}
