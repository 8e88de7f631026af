//! Tasks of real processes: start, stop, and cleanup.

mod support;

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use serde_json::json;
use support::{RunningTask, container, exit_code, is_alive, lifecycle, wait_until_gone};
use task_runner::machine::{Health, StopCode, TaskStatus};
use task_runner::{Control, EventKind, RunnerEvent, Stream, run_probe};

/// Returns true if this host grants PID namespaces; otherwise reports the test as skipped.
fn has_pid_namespaces(test: &str) -> bool {
    let pid = std::process::Command::new("unshare")
        .args(["--user", "--pid", "--fork", "true"])
        .status();
    let is_granted = pid.is_ok_and(|status| status.success());
    if !is_granted {
        let reason = "needs a host that grants PID namespaces";
        let _ = writeln!(std::io::stderr(), "skipped: {test} {reason}");
    }
    is_granted
}

fn after(name: &str, condition: &str) -> serde_json::Value {
    json!({ "dependsOn": [{ "containerName": name, "condition": condition }] })
}

/// Returns true if there was a warning about a missing SIGTERM handler.
fn is_warned_of_sigterm(events: &[RunnerEvent]) -> bool {
    events.iter().any(
        |event| matches!(&event.kind, EventKind::Warning(text) if text.contains("has no handler for SIGTERM")),
    )
}

#[tokio::test]
async fn starts_in_order_and_stops_in_reverse() {
    let mut task = RunningTask::new(vec![
        container("proxy", &["serve"], after("app", "START")),
        container("app", &["serve"], after("telemetry", "START")),
        container("telemetry", &["serve"], json!({})),
    ]);

    task.wait_until_ready(&["telemetry", "app", "proxy"]).await;
    task.stop().await;
    let (report, events) = task.end().await;
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

    assert_eq!(report.exit_code(), 0);
    assert!(report.was_running);
    assert_eq!(report.stop_code, Some(StopCode::UserInitiated));
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_essential_container() {
    let mut task = RunningTask::new(vec![
        container("telemetry", &["serve"], json!({ "essential": false })),
        container(
            "app",
            &["exit-when", "go", "7"],
            after("telemetry", "START"),
        ),
    ]);

    task.wait_until_ready(&["telemetry"]).await;
    fs::write(task.folder.path().join("go"), "").unwrap();
    let (report, events) = task.end().await;
    assert_eq!(report.exit_code(), 7);
    assert_eq!(report.cause.as_deref(), Some("app"));
    assert_eq!(report.stop_code, Some(StopCode::EssentialContainerExited));
    assert_eq!(report.stopped_reason, "Essential container in task exited");

    // Without the two starts: the dependency fixes their order.
    assert_eq!(
        lifecycle(&events)[2..],
        ["app stopped 7", "telemetry stopping", "telemetry stopped 0"]
    );
}

#[tokio::test]
async fn a_container_that_ignores_sigterm_is_killed_after_its_stop_timeout() {
    let mut task = RunningTask::new(vec![container(
        "app",
        &["ignore-term"],
        json!({ "stopTimeout": 1 }),
    )]);

    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(exit_code(&report, "app"), Some(137));
    assert_eq!(report.exit_code(), 137);
    assert_eq!(
        lifecycle(&events),
        [
            "app started",
            "app stopping",
            "app killing",
            "app stopped 137"
        ]
    );

    let container = &report.containers[0];
    let took = (container.stopped_at).saturating_sub(container.stop_requested_at.unwrap());
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(3),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_process_without_a_handler_ignores_sigterm_as_on_fargate() {
    if !has_pid_namespaces("a_process_without_a_handler_ignores_sigterm_as_on_fargate") {
        return;
    }

    let short_stop = json!({ "stopTimeout": 2 });
    let mut task = RunningTask::new(vec![container("app", &["no-handler"], short_stop)]);
    task.wait_until_ready(&["app"]).await;

    // The warning depends on the age of the process: there is no event to wait for.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(
        (exit_code(&report, "app"), report.exit_code()),
        (Some(137), 137)
    );
    assert!(is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn init_process_enabled_ends_a_process_without_a_handler() {
    let with_init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let mut task = RunningTask::new(vec![container("app", &["no-handler"], with_init)]);
    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (report, _) = task.end().await;
    // 143 is the requested SIGTERM, so the task itself succeeds.
    assert_eq!(
        (exit_code(&report, "app"), report.exit_code()),
        (Some(143), 0)
    );
}

#[tokio::test]
async fn a_young_process_causes_no_warning() {
    let with_init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let mut task = RunningTask::new(vec![container("app", &["no-handler"], with_init)]);
    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(exit_code(&report, "app"), Some(143));
    assert!(!is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn a_program_with_a_handler_causes_no_warning() {
    let mut task = RunningTask::new(vec![container("app", &["serve"], json!({}))]);
    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (_, events) = task.end().await;
    assert!(!is_warned_of_sigterm(&events));
}

#[tokio::test]
async fn orphans_in_other_sessions_end_with_their_container() {
    let mut task = RunningTask::new(vec![container("app", &["orphan"], json!({}))]);
    let line = task.wait_for_line("app", "orphan ").await;
    let pid: u32 = line.trim_start_matches("orphan ").parse().unwrap();
    task.wait_for_line("app", "ready").await;
    // The orphan prints its pid as its own namespace numbers it.
    let pid = support::host_pid(task.pid("app"), pid);
    assert!(is_alive(pid));
    task.stop().await;
    task.end().await;
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_kill_ends_all_containers_at_once() {
    let mut task = RunningTask::new(vec![
        container("proxy", &["ignore-term"], after("app", "START")),
        container("app", &["ignore-term"], json!({})),
    ]);

    task.wait_until_ready(&["app", "proxy"]).await;
    task.control
        .send(Control::Kill {
            reason: "enough".into(),
        })
        .await
        .unwrap();

    let (report, _) = task.end().await;
    assert_eq!(
        (exit_code(&report, "proxy"), exit_code(&report, "app")),
        (Some(137), Some(137))
    );
    assert!(report.containers.iter().all(|container| container.killed));
}

#[tokio::test]
async fn no_process_outlives_a_killed_runner() {
    use tokio::io::{AsyncBufReadExt, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let mut runner = tokio::process::Command::new(support::FIXTURE)
        .args(["supervise", folder.path().to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(runner.stdout.take().unwrap()).lines();
    let (mut pids, mut ready, mut orphan) = (Vec::new(), 0, None);

    // The fixture prints the events of its task.
    while ready < 3 {
        let next = tokio::time::timeout(support::LIMIT, lines.next_line()).await;
        let line = next.unwrap().unwrap().expect("the runner is running");

        // Two containers and the orphan print it.
        ready += usize::from(line.contains("\"ready\""));
        let number = |beginning: &str| {
            let (_, pid) = line.split_once(beginning)?;
            let digits = pid.split(|c: char| !c.is_ascii_digit()).next();
            digits?.parse::<u32>().ok()
        };

        pids.extend(number("pid: "));
        orphan = orphan.or(number("\"orphan "));
    }

    // The orphan's pid is that of the namespace of the container that started it.
    let orphan = orphan.expect("the orphan printed its pid");
    let parent = (pids.iter()).find(|pid| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|command| command.contains("orphan"))
    });

    pids.push(support::host_pid(*parent.unwrap(), orphan));
    assert_eq!(pids.len(), 3, "two containers and an orphan: {pids:?}");
    assert!(pids.iter().copied().all(is_alive));
    // SIGKILL: the runner cannot clean up.
    runner.start_kill().unwrap();
    runner.wait().await.unwrap();

    for pid in pids {
        wait_until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_container_ends_with_its_killed_init() {
    let mut task = RunningTask::new(vec![container("app", &["serve"], json!({}))]);
    task.wait_until_ready(&["app"]).await;
    let pid = task.pid("app");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // After the name in parentheses: state, then the parent, which is the init.
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
    wait_until_gone(pid).await;
    let (report, _) = task.end().await;
    // The runner cannot know the code; the kernel killed the container with its init.
    assert_eq!(report.exit_code(), 137);
}

#[tokio::test]
async fn health_follows_the_probe() {
    let check = json!({ "healthCheck": {
                "command": ["CMD", "/runner-fixture", "exists", "healthy"],
                "interval": 1, "timeout": 5, "retries": 2 } });
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &["serve"], check)]);

    plan.fast_health = 20;
    let healthy = folder.path().join("healthy");
    let mut task = RunningTask::from_plan(folder, plan);
    let is = |wanted| move |event: &RunnerEvent| matches!(event.kind, EventKind::Health { health, .. } if health == wanted);

    task.wait_for(is(Health::Unhealthy)).await;
    fs::write(&healthy, "").unwrap();
    task.wait_for(is(Health::Healthy)).await;
    fs::remove_file(&healthy).unwrap();
    task.wait_for(is(Health::Unhealthy)).await;
    task.stop().await;

    let (_, events) = task.end().await;
    let streaks: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
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
    // More failures may follow before the file exists.
    let first = streaks
        .iter()
        .position(|streak| streak == "HEALTHY/0/0")
        .unwrap();
    assert_eq!(
        streaks[first..first + 3],
        ["HEALTHY/0/0", "HEALTHY/1/1", "UNHEALTHY/2/1"]
    );

    assert!(events.iter().any(|event| matches!(
        event.kind,
        EventKind::Task {
            status: TaskStatus::Running,
            health: Health::Healthy
        }
    )));
}

#[tokio::test]
async fn a_probe_over_its_timeout_is_killed_and_fails() {
    let check = json!({ "healthCheck": {
        "command": ["CMD-SHELL", "echo still here; exec sleep 1000"],
        "interval": 1, "timeout": 1, "retries": 1 } });
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &["serve"], check)]);

    plan.fast_health = 20;
    let mut task = RunningTask::from_plan(folder, plan);
    let event = task
        .wait_for(|event| matches!(event.kind, EventKind::Health { .. }))
        .await;
    let EventKind::Health {
        health: Health::Unhealthy,
        code: -1,
        output,
        ..
    } = event.kind
    else {
        panic!("{event:?}")
    };

    assert!(
        output.contains("timed out after 1s") && output.contains("still here"),
        "{output}"
    );
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_restart_policy_does_nothing_before_its_period_has_passed() {
    let policy = json!({ "essential": false, "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 } });
    let mut task = RunningTask::new(vec![
        container("sidecar", &["exit", "3"], policy),
        container("app", &["serve"], json!({})),
    ]);

    task.wait_for(|event| matches!(event.kind, EventKind::Stopped { code: Some(3), .. }))
        .await;
    task.wait_until_ready(&["app"]).await;
    task.stop().await;

    let (report, _) = task.end().await;
    assert_eq!((report.exit_code(), report.containers[0].restarts), (0, 0));
}

#[tokio::test]
async fn a_restart_policy_restarts_a_container() {
    // ECS requires at least 60 s; the runner accepts any value.
    let policy = json!({ "restartPolicy": { "enabled": true, "restartAttemptPeriod": 0 } });
    let mut task = RunningTask::new(vec![container("app", &["exit-when", "go", "3"], policy)]);
    let go = task.folder.path().join("go");
    task.wait_for(|event| matches!(event.kind, EventKind::Started { run: 1, .. }))
        .await;
    fs::write(&go, "").unwrap();
    task.wait_for(|event| matches!(event.kind, EventKind::Restarting { code: 3 }))
        .await;
    task.wait_for(|event| matches!(event.kind, EventKind::Started { run: 2, .. }))
        .await;

    task.stop().await;
    let (report, _) = task.end().await;
    assert!(report.containers[0].restarts >= 1);
    assert_eq!(report.stop_code, Some(StopCode::UserInitiated));
}

#[tokio::test]
async fn a_dependency_without_success_stops_the_task_with_143() {
    let task = RunningTask::new(vec![
        container("init", &["exit", "2"], json!({ "essential": false })),
        container("app", &["serve"], after("init", "SUCCESS")),
    ]);
    let (report, events) = task.end().await;

    assert_eq!(report.exit_code(), 143);
    assert_eq!(report.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(
        report
            .stopped_reason
            .contains("`init` had to succeed and exited 2")
    );

    assert_eq!(
        lifecycle(&events),
        ["init started", "init stopped 2", "app stopped 143"]
    );
}

#[tokio::test]
async fn a_missing_program_fails_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), vec![container("app", &[], json!({}))]);
    plan.programs.get_mut("app").unwrap().binary = "/nowhere/app".into();

    let (report, _) = RunningTask::from_plan(folder, plan).end().await;
    assert_eq!(report.stop_code, Some(StopCode::TaskFailedToStart));
    assert!(
        report.stopped_reason.contains("`/nowhere/app`"),
        "{}",
        report.stopped_reason
    );
    assert!(!report.was_running);
}

#[tokio::test]
async fn every_line_arrives_before_the_stop_event() {
    // The file of the log must exist until the task has ended.
    let task = RunningTask::new(vec![container("app", &["lines", "2000"], json!({}))]);
    let file = task.folder.path().join("app.log");
    let folder = task.folder.path().to_owned();
    let (_, events) = task.end().await;
    let last = events
        .iter()
        .rposition(|event| matches!(event.kind, EventKind::Log { .. }))
        .unwrap();
    let end = events
        .iter()
        .position(|event| matches!(event.kind, EventKind::Stopped { .. }))
        .unwrap();

    assert!(last < end);
    assert!(
        matches!(&events[last].kind, EventKind::Log { stream: Stream::Stdout, line } if line == "line 1999")
    );
    drop((file, folder));
}

#[tokio::test]
async fn a_receiver_that_does_not_read_does_not_block_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let plan = support::plan(
        folder.path(),
        vec![container("app", &["lines", "50000"], json!({}))],
    );
    // The receiver is kept, but never read.
    let (sender, _receiver) = tokio::sync::mpsc::channel(64);
    let (_control, controlled) = tokio::sync::mpsc::channel(1);
    let task = task_runner::run(plan, sender, controlled);
    let report = tokio::time::timeout(support::LIMIT, task)
        .await
        .unwrap()
        .unwrap();

    assert_eq!(report.exit_code(), 0);
    // Dropped events, but complete log files.
    assert!(report.dropped_events > 49_000, "{}", report.dropped_events);
    let log = fs::read_to_string(folder.path().join("app.log")).unwrap();
    assert_eq!(log.lines().count(), 50_000);
}

#[tokio::test]
async fn a_container_gets_only_the_environment_of_its_definition() {
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
    // Secrets must not appear in debug output.
    assert!(!format!("{plan:?}").contains("hush"));

    let (_, events) = RunningTask::from_plan(folder, plan).end().await;
    let mut lines: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Log { line, .. } => Some(line.split_once('=').unwrap()),
            _ => None,
        })
        // Its value is the default of the runner; only its presence is not worth a line.
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
async fn runs_a_probe_beside_a_container() {
    let folder = tempfile::tempdir().unwrap();
    let plan = support::plan(folder.path(), vec![container("app", &["serve"], json!({}))]);
    let limit = Duration::from_secs(10);
    assert!(!run_probe(&plan, "app", &["exists", "file"], None, limit).await);
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(run_probe(&plan, "app", &["exists", "file"], None, limit).await);
}

#[tokio::test]
async fn only_the_container_over_its_memory_limit_is_killed() {
    // Without cgroups: the runner polls and kills.
    let mut task = RunningTask::new(vec![
        container(
            "app",
            &["allocate", "120"],
            json!({ "memory": 64, "essential": false }),
        ),
        container("other", &["allocate", "40"], json!({ "memory": 200 })),
    ]);

    task.wait_until_ready(&["other"]).await;
    task.wait_until_stopped("app").await;
    task.stop().await;

    let (report, _) = task.end().await;
    let container_report = |name: &str| {
        let mut containers = report.containers.iter();
        containers.find(|container| container.name == name).unwrap()
    };

    let (app, other) = (container_report("app"), container_report("other"));
    assert_eq!(app.exit_code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();
    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    assert_eq!(other.exit_code, Some(0));

    assert!(
        other.peak_memory >= 40 * 1024 * 1024,
        "{}",
        other.peak_memory
    );
}

#[tokio::test]
async fn the_largest_container_of_a_task_over_its_memory_limit_is_killed() {
    let mut task = RunningTask::with_memory(
        "128",
        vec![
            container("app", &["allocate", "110"], json!({})),
            container("other", &["allocate", "40"], json!({})),
        ],
    );

    task.wait_until_stopped("app").await;
    let (report, _) = task.end().await;
    assert_eq!(exit_code(&report, "app"), Some(137));
    assert_eq!(report.exit_code(), 137);
    assert_eq!(report.cause.as_deref(), Some("app"));
}

#[tokio::test]
async fn a_stop_right_after_the_start_reaches_the_init_process() {
    // Repeated, because the race between start and stop has to be hit.
    for _ in 0..20 {
        let more = json!({ "linuxParameters": { "initProcessEnabled": true }, "stopTimeout": 20 });
        let mut task = RunningTask::new(vec![container("app", &["no-handler"], more)]);
        task.wait_for(|event| matches!(event.kind, EventKind::Started { .. }))
            .await;
        task.stop().await;
        let (report, events) = task.end().await;
        assert_eq!(exit_code(&report, "app"), Some(143), "{events:#?}");
    }
}
