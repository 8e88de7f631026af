//! Many tasks leave no process, descriptor, mount or cgroup behind. The only test of its process, so that it can
//! count them.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod support;

use std::fs;
use std::sync::Arc;

use serde_json::json;
use support::{RunningTask, container};
use task_runner::Cgroups;

#[tokio::test]
async fn many_tasks_leave_nothing_behind() {
    // The first task creates the runtime's threads and descriptors, which stay.
    one_task().await;
    let before = (descriptors(), children(), mounts());
    for _ in 0..task_count() {
        one_task().await;
    }
    assert_eq!((descriptors(), children(), mounts()), before);
    assert_eq!(support::cgroups_of(std::process::id()), [""; 0]);
}

async fn one_task() {
    let folder = tempfile::tempdir().unwrap();
    let containers = vec![
        container("init", &["exit", "0"], json!({ "essential": false })),
        container(
            "app",
            &["serve"],
            json!({
            "memory": 64, "dependsOn": [{ "containerName": "init", "condition": "SUCCESS" }] }),
        ),
    ];

    let mut plan = support::plan(folder.path(), containers);
    plan.cgroups = Cgroups::open(&plan.definition).ok().map(Arc::new);
    let mut task = RunningTask::from_plan(folder, plan);
    task.wait_until_ready(&["app"]).await;
    task.stop().await;
    let (finished, _) = task.end().await;
    assert_eq!(finished.exit_code(), 0);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Counts the children of this process, zombies included.
fn children() -> usize {
    let own = std::process::id().to_string();
    let stat = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("stat")).ok();
    let parent = |stat: String| {
        Some(
            stat.rsplit_once(')')?
                .1
                .split_whitespace()
                .nth(1)?
                .to_owned(),
        )
    };

    let all = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(stat)
        .filter_map(parent);

    all.filter(|parent| *parent == own).count()
}

fn mounts() -> usize {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .count()
}

/// Returns the number of tasks to run: 200, or `LEAK_TASKS`.
fn task_count() -> u32 {
    let count = std::env::var("LEAK_TASKS").ok();
    count.map_or(200, |count| count.parse().unwrap())
}
