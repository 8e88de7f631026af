//! Tasks of real processes: how they begin, end, and what is left of them.

mod support;

use serde_json::json;
use std::fs;
use std::io::Write as _;
use std::time::Duration;
use support::{Running, alive, code, container, lifecycle, until_gone};
use task_runner::machine::{Health, StopCode, TaskStatus};
use task_runner::{Control, EventKind, RunnerEvent, Stream, run_probe};

/// Whether this machine gives out PID namespaces; says which test is skipped where it does not.
fn has_pid_namespaces(test: &str) -> bool {
    let pid = std::process::Command::new("unshare")
        .args(["--user", "--pid", "--fork", "true"])
        .status();
    let given = pid.is_ok_and(|status| status.success());
    if !given {
        let why = "needs a machine that gives out PID namespaces";
        let _ = writeln!(std::io::stderr(), "skipped: {test} {why}");
    }
    given
}

fn after(name: &str, condition: &str) -> serde_json::Value {
    json!({ "dependsOn": [{ "containerName": name, "condition": condition }] })
}

/// Whether a container was said not to hear it.
fn is_warned_of_sigterm(events: &[RunnerEvent]) -> bool {
    events.iter().any(
        |event| matches!(&event.what, EventKind::Warning(text) if text.contains("has no handler for SIGTERM")),
    )
}

#[tokio::test]
async fn starts_in_order_and_stops_in_reverse() {
    let mut task = Running::new(vec![
        container("proxy", &["serve"], after("app", "START")),
        container("app", &["serve"], after("telemetry", "START")),
        container("telemetry", &["serve"], json!({})),
    ]);

    task.until_ready(&["telemetry", "app", "proxy"]).await;
    task.stop().await;
    let (finished, events) = task.end().await;
    assert_eq!(
        lifecycle(&events),
        [
            "telemetry started",
            "app started",
            "proxy started",
            "proxy stopping",
            "proxy stopped 0",
            "app stopping",
            "app stopped 0",
            "telemetry stopping",
            "telemetry stopped 0",
        ]
    );

    assert_eq!(finished.exit_code(), 0);
    assert!(finished.was_running);
    assert_eq!(finished.stop_code, Some(StopCode::UserInitiated));
}

#[tokio::test]
async fn the_task_ends_with_the_code_of_its_essential_container() {
    let mut task = Running::new(vec![
        container("telemetry", &["serve"], json!({ "essential": false })),
        container(
            "app",
            &["exit-when", "go", "7"],
            after("telemetry", "START"),
        ),
    ]);

    task.until_ready(&["telemetry"]).await;
    fs::write(task.folder.path().join("go"), "").unwrap();
    let (finished, events) = task.end().await;
    assert_eq!(finished.exit_code(), 7);
    assert_eq!(finished.cause.as_deref(), Some("app"));
    assert_eq!(finished.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(
        finished.stopped_reason,
        "Essential container in task exited"
    );

    assert_eq!(
        lifecycle(&events)[2..],
        ["app stopped 7", "telemetry stopping", "telemetry stopped 0"]
    );
}

#[tokio::test]
async fn what_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let mut task = Running::new(vec![container(
        "app",
        &["stubborn"],
        json!({ "stopTimeout": 1 }),
    )]);

    task.until_ready(&["app"]).await;
    task.stop().await;
    let (finished, events) = task.end().await;
    assert_eq!(code(&finished, "app"), Some(137));
    assert_eq!(finished.exit_code(), 137);
    assert_eq!(
        lifecycle(&events),
        [
            "app started",
            "app stopping",
            "app killing",
            "app stopped 137"
        ]
    );

    let report = &finished.containers[0];
    let took = report.stopped.saturating_sub(report.asked.unwrap());
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_process_without_a_handler_does_not_hear_sigterm_as_on_fargate() {
    if !has_pid_namespaces("a_process_without_a_handler_does_not_hear_sigterm_as_on_fargate") {
        return;
    }

    let brief = json!({ "stopTimeout": 2 });
    let mut task = Running::new(vec![container("app", &["deaf"], brief)]);
    task.until_ready(&["app"]).await;

    // The rule is about time that goes by: nothing can be waited for but the time itself.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    task.stop().await;
    let (finished, events) = task.end().await;
    assert_eq!(
        (code(&finished, "app"), finished.exit_code()),
        (Some(137), 137)
    );
    assert!(is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn an_init_of_ecs_lets_a_process_without_a_handler_end() {
    let with_init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let mut task = Running::new(vec![container("app", &["deaf"], with_init)]);
    task.until_ready(&["app"]).await;
    task.stop().await;
    let (finished, _) = task.end().await;
    // By our own signal, which is fine.
    assert_eq!(
        (code(&finished, "app"), finished.exit_code()),
        (Some(143), 0)
    );
}

#[tokio::test]
async fn a_process_that_has_only_begun_earns_no_warning() {
    let with_init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let mut task = Running::new(vec![container("app", &["deaf"], with_init)]);
    task.until_ready(&["app"]).await;
    task.stop().await;
    let (finished, events) = task.end().await;
    assert_eq!(code(&finished, "app"), Some(143));
    assert!(!is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn a_program_that_hears_sigterm_earns_no_warning() {
    let mut task = Running::new(vec![container("app", &["serve"], json!({}))]);
    task.until_ready(&["app"]).await;
    task.stop().await;
    let (_, events) = task.end().await;
    assert!(!is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn grandchildren_in_sessions_of_their_own_end_with_their_container() {
    let mut task = Running::new(vec![container("app", &["orphan"], json!({}))]);
    let pid = task.until_said("app", "orphan ").await;
    let pid: u32 = pid.trim_start_matches("orphan ").parse().unwrap();
    task.until_said("app", "ready").await;
    let pid = support::called(task.pid("app"), pid);
    assert!(alive(pid));
    task.stop().await;
    task.end().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn killing_the_task_takes_everybody_at_once() {
    let mut task = Running::new(vec![
        container("proxy", &["stubborn"], after("app", "START")),
        container("app", &["stubborn"], json!({})),
    ]);

    task.until_ready(&["app", "proxy"]).await;
    task.control
        .send(Control::Kill {
            reason: "enough".into(),
        })
        .await
        .unwrap();

    let (finished, _) = task.end().await;
    assert_eq!(
        (code(&finished, "proxy"), code(&finished, "app")),
        (Some(137), Some(137))
    );
    assert!(finished.containers.iter().all(|one| one.killed));
}

#[tokio::test]
async fn nothing_is_left_when_the_supervisor_is_killed() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let mut supervisor = tokio::process::Command::new(support::FIXTURE)
        .args(["supervise", folder.path().to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(supervisor.stdout.take().unwrap()).lines();
    let (mut pids, mut ready, mut orphan) = (Vec::new(), 0, None);

    while ready < 3 {
        let next = tokio::time::timeout(support::LIMIT, lines.next_line()).await;
        let line = next.unwrap().unwrap().expect("the supervisor lives");

        // The orphan says `ready` as well.
        ready += usize::from(line.contains("\"ready\""));
        let number = |beginning: &str| {
            let (_, pid) = line.split_once(beginning)?;
            let digits = pid.split(|c: char| !c.is_ascii_digit()).next();
            digits?.parse::<u32>().ok()
        };

        pids.extend(number("pid: "));
        orphan = orphan.or(number("\"orphan "));
    }

    // Who of the two started it calls it by this name.
    let orphan = orphan.expect("the orphan says who it is");
    let parent = (pids.iter()).find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.contains("orphan"))
    });

    pids.push(support::called(*parent.unwrap(), orphan));
    assert_eq!(pids.len(), 3, "two containers and an orphan: {pids:?}");
    assert!(pids.iter().copied().all(alive));
    supervisor.start_kill().unwrap();
    supervisor.wait().await.unwrap();

    for pid in pids {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_container_ends_with_its_killed_init() {
    let mut task = Running::new(vec![container("app", &["serve"], json!({}))]);
    task.until_ready(&["app"]).await;
    let pid = task.events.iter().find_map(|event| match event.what {
        EventKind::Started { pid, .. } => Some(pid),
        _ => None,
    });
    let pid = pid.unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let init: i32 = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();

    let init = rustix::process::Pid::from_raw(init).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::KILL).unwrap();
    until_gone(pid).await;
    let (finished, _) = task.end().await;
    assert_eq!(finished.exit_code(), 137);
}

#[tokio::test]
async fn health_goes_up_and_down_with_the_probe() {
    let check = json!({ "healthCheck": {
        "command": ["CMD", "/runner-fixture", "exists", "well"],
        "interval": 1, "timeout": 5, "retries": 2 } });
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &["serve"], check)]);

    plan.fast_health = 20;
    let well = folder.path().join("well");
    let mut task = Running::of(folder, plan);
    let is = |wanted| move |event: &RunnerEvent| matches!(event.what, EventKind::Health { health, .. } if health == wanted);

    task.until(is(Health::Unhealthy)).await;
    fs::write(&well, "").unwrap();
    task.until(is(Health::Healthy)).await;
    fs::remove_file(&well).unwrap();
    task.until(is(Health::Unhealthy)).await;
    task.stop().await;

    let (_, events) = task.end().await;
    let streaks: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::Health {
                health,
                streak,
                code,
                ..
            } => Some(format!("{health}/{streak}/{code}")),
            _ => None,
        })
        .collect();

    assert_eq!(streaks[..2], ["UNKNOWN/1/1", "UNHEALTHY/2/1"]);
    let well = streaks.iter().position(|one| one == "HEALTHY/0/0").unwrap();
    assert_eq!(
        streaks[well..well + 3],
        ["HEALTHY/0/0", "HEALTHY/1/1", "UNHEALTHY/2/1"]
    );

    assert!(events.iter().any(|event| matches!(
        event.what,
        EventKind::Task {
            status: TaskStatus::Running,
            health: Health::Healthy
        }
    )));
}

#[tokio::test]
async fn a_probe_that_hangs_is_killed_and_counts_as_failed() {
    let check = json!({ "healthCheck": {
        "command": ["CMD-SHELL", "echo still here; exec sleep 1000"],
        "interval": 1, "timeout": 1, "retries": 1 } });
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &["serve"], check)]);

    plan.fast_health = 20;
    let mut task = Running::of(folder, plan);
    let event = task
        .until(|event| matches!(event.what, EventKind::Health { .. }))
        .await;
    let EventKind::Health {
        health: Health::Unhealthy,
        code: -1,
        output,
        ..
    } = event.what
    else {
        panic!("{event:?}")
    };

    assert!(
        output.contains("not done in 1s") && output.contains("still here"),
        "{output}"
    );
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_restart_policy_does_nothing_before_its_period() {
    let policy = json!({ "essential": false, "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 } });
    let mut task = Running::new(vec![
        container("sidecar", &["exit", "3"], policy),
        container("app", &["serve"], json!({})),
    ]);

    task.until(|event| matches!(event.what, EventKind::Stopped { code: Some(3), .. }))
        .await;
    task.until_ready(&["app"]).await;
    task.stop().await;

    let (finished, _) = task.end().await;
    assert_eq!(
        (finished.exit_code(), finished.containers[0].restarts),
        (0, 0)
    );
}

#[tokio::test]
async fn a_restart_policy_brings_a_container_back() {
    // The registered minimum is 60 s; the runner takes what it is given.
    let policy = json!({ "restartPolicy": { "enabled": true, "restartAttemptPeriod": 0 } });
    let mut task = Running::new(vec![container("app", &["exit-when", "go", "3"], policy)]);
    let go = task.folder.path().join("go");
    task.until(|event| matches!(event.what, EventKind::Started { run: 1, .. }))
        .await;
    fs::write(&go, "").unwrap();
    task.until(|event| matches!(event.what, EventKind::Restarting { code: 3 }))
        .await;
    task.until(|event| matches!(event.what, EventKind::Started { run: 2, .. }))
        .await;

    task.stop().await;
    let (finished, _) = task.end().await;
    assert!(finished.containers[0].restarts >= 1);
    assert_eq!(finished.stop_code, Some(StopCode::UserInitiated));
}

#[tokio::test]
async fn a_dependency_that_fails_to_succeed_stops_the_task_with_143() {
    let task = Running::new(vec![
        container("init", &["exit", "2"], json!({ "essential": false })),
        container("app", &["serve"], after("init", "SUCCESS")),
    ]);
    let (finished, events) = task.end().await;

    assert_eq!(finished.exit_code(), 143);
    assert_eq!(finished.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(
        finished
            .stopped_reason
            .contains("`init` had to succeed and exited 2")
    );

    assert_eq!(
        lifecycle(&events),
        ["init started", "init stopped 2", "app stopped 143"]
    );
}

#[tokio::test]
async fn a_program_that_is_not_there_fails_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &[], json!({}))]);
    plan.programs.get_mut("app").unwrap().binary = "/nowhere/app".into();

    let (finished, _) = Running::of(folder, plan).end().await;
    assert_eq!(finished.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(
        finished.stopped_reason.contains("`/nowhere/app`"),
        "{}",
        finished.stopped_reason
    );
    assert!(!finished.was_running);
}

#[tokio::test]
async fn every_line_is_there_before_the_end_is_told() {
    let task = Running::new(vec![container("app", &["lines", "2000"], json!({}))]);
    let file = task.folder.path().join("app.log");
    let folder = task.folder.path().to_owned();
    let (_, events) = task.end().await;
    let last = events
        .iter()
        .rposition(|event| matches!(event.what, EventKind::Log { .. }))
        .unwrap();
    let end = events
        .iter()
        .position(|event| matches!(event.what, EventKind::Stopped { .. }))
        .unwrap();

    assert!(last < end);
    assert!(
        matches!(&events[last].what, EventKind::Log { stream: Stream::Stdout, line } if line == "line 1999")
    );
    drop((file, folder));
}

#[tokio::test]
async fn a_listener_that_does_not_listen_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let plan = support::plan(
        folder.path(),
        vec![container("app", &["lines", "50000"], json!({}))],
    );
    let (sender, _deaf) = tokio::sync::mpsc::channel(64);
    let (_control, controlled) = tokio::sync::mpsc::channel(1);
    let task = task_runner::run(plan, sender, controlled);
    let finished = tokio::time::timeout(support::LIMIT, task)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(finished.exit_code(), 0);
    assert!(
        finished.dropped_events > 49_000,
        "{}",
        finished.dropped_events
    );
    let log = fs::read_to_string(folder.path().join("app.log")).unwrap();
    assert_eq!(log.lines().count(), 50_000);
}

#[tokio::test]
async fn a_container_sees_only_what_its_definition_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let more = json!({
        "environment": [{ "name": "GIVEN", "value": "yes" }, { "name": "OVER", "value": "no" }],
        "secrets": [{ "name": "TOKEN", "valueFrom": "arn:secret" }],
    });
    let mut plan = support::plan(
        folder.path(),
        vec![container("app", &["environment"], more)],
    );

    plan.secrets.insert("arn:secret", "hush");
    plan.environment
        .insert("app".into(), [("OVER".into(), "ridden".into())].into());
    assert!(!format!("{plan:?}").contains("hush"));

    let (_, events) = Running::of(folder, plan).end().await;
    let mut lines: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::Log { line, .. } => Some(line.split_once('=').unwrap()),
            _ => None,
        })
        .filter(|(name, _)| *name != "PATH")
        .collect();

    lines.sort_unstable();
    let expected = [
        ("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE"),
        ("GIVEN", "yes"),
        ("HOME", "/"),
        ("OVER", "ridden"),
        ("TOKEN", "hush"),
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn asks_a_container_beside_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let plan = support::plan(folder.path(), vec![container("app", &["serve"], json!({}))]);
    let limit = Duration::from_secs(10);
    assert!(!run_probe(&plan, "app", &["exists", "file"], limit).await);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(run_probe(&plan, "app", &["exists", "file"], limit).await);
}

#[tokio::test]
async fn who_holds_more_than_its_memory_is_killed_for_it_and_nobody_else() {
    let mut task = Running::new(vec![
        container(
            "app",
            &["eats", "120"],
            json!({ "memory": 64, "essential": false }),
        ),
        container("other", &["eats", "40"], json!({ "memory": 200 })),
    ]);

    task.until_ready(&["other"]).await;
    task.until_stopped("app").await;
    task.stop().await;

    let (finished, _) = task.end().await;
    let report = |name: &str| {
        finished
            .containers
            .iter()
            .find(|one| one.name == name)
            .unwrap()
    };

    let (app, other) = (report("app"), report("other"));
    assert_eq!(app.code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    assert_eq!(other.code, Some(0));

    assert!(
        other.peak_memory >= 40 * 1024 * 1024,
        "{}",
        other.peak_memory
    );
}

#[tokio::test]
async fn when_the_task_holds_too_much_the_one_that_holds_most_is_killed() {
    let mut task = Running::with_memory(
        "128",
        vec![
            container("app", &["eats", "110"], json!({})),
            container("other", &["eats", "40"], json!({})),
        ],
    );

    task.until_stopped("app").await;
    let (finished, _) = task.end().await;
    assert_eq!(code(&finished, "app"), Some(137));
    assert_eq!(finished.exit_code(), 137);
    assert_eq!(finished.cause.as_deref(), Some("app"));
}

#[tokio::test]
async fn a_stop_at_the_very_start_is_heard_by_the_init_before_a_program() {
    for _ in 0..20 {
        let more = json!({ "linuxParameters": { "initProcessEnabled": true }, "stopTimeout": 20 });
        let mut task = Running::new(vec![container("app", &["deaf"], more)]);
        task.until(|event| matches!(event.what, EventKind::Started { .. }))
            .await;
        task.stop().await;
        let (finished, events) = task.end().await;
        assert_eq!(code(&finished, "app"), Some(143), "{heard:#?}");
    }
}
