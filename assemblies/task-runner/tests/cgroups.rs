//! A task held by the kernel: in a process of its own, where no other task takes its part of the processors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what goes wrong here is a failed test"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Running, cgroups_of, container};
use task_runner::{Cgroups, ContainerReport, TaskReport};

/// A task with control groups, unless this machine gives out none.
fn with_cgroups(test: &str, size: Value, containers: Vec<Value>) -> Option<Running> {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = support::plan(folder.path(), containers);
    let text = |name: &str| size[name].as_str().map(str::to_owned);
    (plan.definition.cpu, plan.definition.memory) = (text("cpu"), text("memory"));

    match Cgroups::open(&plan.definition) {
        Ok(cgroups) => plan.cgroups = Some(Arc::new(cgroups)),
        Err(why) => {
            // Past the harness, which keeps what a test that passes prints.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test}: no control groups: {why}"
            );
            return None;
        }
    }

    Some(Running::of(folder, plan))
}

fn report<'f>(finished: &'f TaskReport, name: &str) -> &'f ContainerReport {
    let mut all = finished.containers.iter();
    all.find(|one| one.name == name).unwrap()
}

#[tokio::test]
async fn the_kernel_kills_who_needs_more_than_its_memory_and_nobody_else() {
    let containers = vec![
        container(
            "app",
            &["eats", "120"],
            json!({ "memory": 64, "essential": false }),
        ),
        container("other", &["eats", "40"], json!({ "memory": 200 })),
    ];

    let test = "the_kernel_kills_who_needs_more_than_its_memory_and_nobody_else";
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.until_ready(&["other"]).await;
    task.until_stopped("app").await;
    task.stop().await;

    let (finished, _) = task.end().await;
    let (app, other) = (report(&finished, "app"), report(&finished, "other"));
    assert_eq!((app.code, other.code), (Some(137), Some(0)));
    let reason = app.reason.as_deref().unwrap_or_default();

    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    assert!(app.peak_memory <= 64 << 20, "{}", app.peak_memory);
}

#[tokio::test]
async fn the_task_needs_no_more_than_its_own_memory() {
    let containers = vec![
        container("app", &["eats", "110"], json!({})),
        container("other", &["eats", "40"], json!({})),
    ];
    let test = "the_task_needs_no_more_than_its_own_memory";
    let Some(mut task) = with_cgroups(test, json!({ "memory": "128" }), containers) else {
        return;
    };

    task.until_stopped("app").await;
    let (finished, _) = task.end().await;
    let app = report(&finished, "app");
    assert_eq!(app.code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();

    assert!(reason.starts_with("OutOfMemoryError"), "{reason}");
    assert_eq!(finished.cause.as_deref(), Some("app"));
}

#[tokio::test]
async fn one_that_is_killed_by_somebody_is_not_out_of_memory() {
    let containers = vec![container(
        "app",
        &["stubborn"],
        json!({ "memory": 64, "stopTimeout": 2 }),
    )];
    let test = "one_that_is_killed_by_somebody_is_not_out_of_memory";
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.until_ready(&["app"]).await;
    task.stop().await;
    let (finished, _) = task.end().await;
    let app = report(&finished, "app");

    assert_eq!(app.code, Some(137));
    let reason = app.reason.as_deref().unwrap_or_default();
    assert!(!reason.starts_with("OutOfMemoryError"), "{reason}");
}

/// A quarter of a processor, wanted by two threads: what it got is compared with the time that went by, not
/// with a clock's promise.
#[tokio::test]
async fn the_task_has_its_part_of_the_processors_and_no_more() {
    let containers = vec![container("app", &["burns", "2000"], json!({}))];
    let test = "the_task_has_its_part_of_the_processors_and_no_more";
    let Some(task) = with_cgroups(test, json!({ "cpu": "256" }), containers) else {
        return;
    };
    let begun = Instant::now();
    let (finished, _) = task.end().await;
    let went_by = begun.elapsed();
    let spent = report(&finished, "app").processor_time;

    // The kernel may give a period more at either end.
    let most = went_by / 4 + Duration::from_millis(200);
    assert!(
        spent > Duration::from_millis(100) && spent < most,
        "{spent:?} of {went_by:?}"
    );
}

#[tokio::test]
async fn groups_go_with_their_task_and_those_of_killed_runners_with_the_next() {
    let test = "groups_go_with_their_task_and_those_of_killed_runners_with_the_next";
    let containers = vec![container("app", &["serve"], json!({ "memory": 64 }))];
    let Some(mut task) = with_cgroups(test, json!({}), containers) else {
        return;
    };

    task.until_ready(&["app"]).await;
    // Other tests of this process have groups, too: ours is the one with our process in it.
    let pid = task.pid("app").to_string();
    let holds = |path: &String| {
        let processes = fs::read_to_string(format!("{path}/app/cgroup.procs"));
        processes.is_ok_and(|text| text.lines().any(|line| line == pid))
    };
    let cgroups = cgroups_of(std::process::id());
    let own = cgroups.iter().find(|path| holds(path));
    let own = own.unwrap_or_else(|| panic!("{pid} is in none of {groups:?}"));

    // Left by a runner that was killed: no process can have this number.
    let own = fs::canonicalize(own).unwrap();
    let left = own.with_file_name("assemble-2147483647-0");

    // Another test's task may take it away again before it is whole; that is as good.
    let made = fs::create_dir(&left).and_then(|()| fs::create_dir(left.join("app")));
    assert!(made.is_ok() || !left.exists(), "{made:?}");
    task.stop().await;
    task.end().await;
    assert!(
        own.file_name().is_some() && !own.exists(),
        "{}",
        own.display()
    );

    let containers = vec![container("app", &["exit", "0"], json!({}))];
    let task = with_cgroups(test, json!({}), containers).unwrap();
    assert!(!left.exists());
    task.end().await;
}

/// Row 15 of the faults: a full disk is the container's own to tell, and holds nobody else up.
#[tokio::test]
async fn a_full_volume_is_an_error_of_who_writes_and_of_nobody_else() {
    let tmpfs = json!({ "linuxParameters": { "tmpfs": [{ "containerPath": "/small", "size": 1 }] }, "essential": false });
    let mut task = Running::new(vec![
        container("writer", &["fills", "/small/file", "2"], tmpfs),
        container("other", &["serve"], json!({})),
    ]);

    if task.sandbox.is_none() {
        let test = "a_full_volume_is_an_error_of_who_writes_and_of_nobody_else";
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no namespaces");
        return;
    }

    task.until_ready(&["other"]).await;
    task.until_stopped("writer").await;
    task.stop().await;

    let (finished, _) = task.end().await;
    let writer = report(&finished, "writer");
    assert_eq!(writer.code, Some(28));
    assert!(
        writer
            .last_lines
            .iter()
            .any(|line| line.contains("No space left")),
        "{:?}",
        writer.last_lines
    );
    assert_eq!(report(&finished, "other").code, Some(0));
}
