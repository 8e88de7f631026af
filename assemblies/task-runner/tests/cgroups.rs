//! Limits enforced by cgroups. In its own process, where no other test uses the CPU time of the task.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

mod support;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{RunningTask, cgroups_of, container};
use task_runner::{Cgroups, ContainerReport, TaskReport};

/// Runs a task with cgroups, or returns `None` if this host does not allow them.
fn with_cgroups(test: &str, size: Value, containers: Vec<Value>) -> Option<RunningTask> {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), containers);
    let text = |name: &str| size[name].as_str().map(str::to_owned);
    (plan.definition.cpu, plan.definition.memory) = (text("cpu"), text("memory"));

    match Cgroups::open(&plan.definition) {
        Ok(cgroups) => plan.cgroups = Some(Arc::new(cgroups)),
        Err(error) => {
            // Directly to stderr: the harness hides the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "skipped: {test}: no cgroups: {error}");
            return None;
        }
    }

    Some(RunningTask::from_plan(folder, plan))
}

fn container_report<'r>(report: &'r TaskReport, name: &str) -> &'r ContainerReport {
    let mut containers = report.containers.iter();
    containers.find(|container| container.name == name).unwrap()
}

#[tokio::test]
async fn the_kernel_kills_only_the_container_over_its_memory_limit() {
    let containers = vec![
        container(
            "app",
            &["allocate", "120"],
            json!({ "memory": 64, "essential": false }),
        ),
        container("other", &["allocate", "40"], json!({ "memory": 200 })),
    ];

    let test = "the_kernel_kills_only_the_container_over_its_memory_limit";
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.wait_until_ready(&["other"]).await;
    task.wait_until_stopped("app").await;
    task.stop().await;

    let (report, _) = task.end().await;
    let (app, other) = (
        container_report(&report, "app"),
        container_report(&report, "other"),
    );
    assert_eq!((app.exit_code, other.exit_code), (Some(137), Some(0)));
    let reason = app.reason.as_deref().unwrap_or_default();

    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    // Without a limit the process would reach 120 MiB.
    assert!(app.peak_memory <= 64 << 20, "{}", app.peak_memory);
}

#[tokio::test]
async fn the_kernel_kills_at_the_memory_limit_of_the_task() {
    // 150 MiB together, more than the task's 128.
    let containers = vec![
        container("app", &["allocate", "110"], json!({})),
        container("other", &["allocate", "40"], json!({})),
    ];
    let test = "the_kernel_kills_at_the_memory_limit_of_the_task";
    let Some(mut task) = with_cgroups(test, json!({ "memory": "128" }), containers) else {
        return;
    };

    task.wait_until_stopped("app").await;
    let (report, _) = task.end().await;
    let app = container_report(&report, "app");
    assert_eq!(app.exit_code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();

    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    assert_eq!(report.cause.as_deref(), Some("app"));
}

#[tokio::test]
async fn a_kill_after_the_stop_timeout_is_not_out_of_memory() {
    let containers = vec![container(
        "app",
        &["ignore-term"],
        json!({ "memory": 64, "stopTimeout": 2 }),
    )];
    let test = "a_kill_after_the_stop_timeout_is_not_out_of_memory";
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (report, _) = task.end().await;
    let app = container_report(&report, "app");

    assert_eq!(app.exit_code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();
    assert!(!reason.starts_with("OutOfMemoryError"), "{reason}");
}

/// Two threads compete for a quarter of a processor. The CPU time is compared with the elapsed time, so a slow
/// host does not fail the test.
#[tokio::test]
async fn the_task_gets_no_more_than_its_cpu() {
    let containers = vec![container("app", &["burn-cpu", "2000"], json!({}))];
    let test = "the_task_gets_no_more_than_its_cpu";
    let Some(task) = with_cgroups(test, json!({ "cpu": "256" }), containers) else {
        return;
    };
    let start = Instant::now();
    let (report, _) = task.end().await;
    let elapsed = start.elapsed();
    let cpu_time = container_report(&report, "app").cpu_time;

    // The kernel may grant one more period at the start and the end.
    let max = elapsed / 4 + Duration::from_millis(200);
    assert!(
        cpu_time > Duration::from_millis(100) && cpu_time < max,
        "{cpu_time:?} of {elapsed:?}"
    );
}

#[tokio::test]
async fn cgroups_are_removed_with_their_task_and_stale_ones_by_the_next() {
    let test = "cgroups_are_removed_with_their_task_and_stale_ones_by_the_next";
    let containers = vec![container("app", &["serve"], json!({ "memory": 64 }))];
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.wait_until_ready(&["app"]).await;
    // Other tests of this process have cgroups, too: this task's contains its process.
    let pid = task.pid("app").to_string();
    let contains_pid = |path: &String| {
        let processes = fs::read_to_string(format!("{path}/app/cgroup.procs"));
        processes.is_ok_and(|text| text.lines().any(|line| line == pid))
    };
    let cgroups = cgroups_of(std::process::id());
    let own = cgroups.iter().find(|path| contains_pid(path));
    let own = own.unwrap_or_else(|| panic!("{pid} is in none of {cgroups:?}"));

    // Simulates a killed runner: 2147483647 is above the maximum pid of the kernel.
    let own = fs::canonicalize(own).unwrap();
    let stale = own.with_file_name("assemble-2147483647-0");

    // Another test's task may remove it before it is complete; that is the tested behavior, too.
    let created = fs::create_dir(&stale).and_then(|()| fs::create_dir(stale.join("app")));
    assert!(created.is_ok() || !stale.exists(), "{created:?}");
    task.stop().await;
    task.end().await;
    assert!(
        own.file_name().is_some() && !own.exists(),
        "{}",
        own.display()
    );

    let containers = vec![container("app", &["exit", "0"], json!({}))];
    let task = with_cgroups(test, json!({}), containers).unwrap();
    assert!(!stale.exists());
    task.end().await;
}

#[tokio::test]
async fn a_full_volume_is_an_error_of_the_writing_container_only() {
    let tmpfs = json!({ "linuxParameters": { "tmpfs": [{ "containerPath": "/small", "size": 1 }] }, "essential": false });
    let mut task = RunningTask::new(vec![
        container("writer", &["fill", "/small/file", "2"], tmpfs),
        container("other", &["serve"], json!({})),
    ]);

    if task.sandbox.is_none() {
        let test = "a_full_volume_is_an_error_of_the_writing_container_only";
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no namespaces");
        return;
    }

    task.wait_until_ready(&["other"]).await;
    task.wait_until_stopped("writer").await;
    task.stop().await;

    let (report, _) = task.end().await;
    let writer = container_report(&report, "writer");
    // The fixture exits with the number of ENOSPC.
    assert_eq!(writer.exit_code, Some(28));
    assert!(
        writer
            .last_lines
            .iter()
            .any(|line| line.contains("No space left")),
        "{:?}",
        writer.last_lines
    );
    assert_eq!(container_report(&report, "other").exit_code, Some(0));
}
