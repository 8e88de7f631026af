//! Alone in its process, so that it can count: many tasks leave no process, no descriptor, no mount and no
//! control group.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

mod support;

use serde_json::json;
use std::fs;
use std::sync::Arc;
use support::{Running, container};
use task_runner::Cgroups;

#[tokio::test]
async fn many_tasks_leave_nothing_behind() {
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
    let mut task = Running::of(folder, plan);
    task.until_ready(&["app"]).await;
    task.stop().await;
    let (finished, _) = task.end().await;
    assert_eq!(finished.exit_code(), 0);
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Everybody whose parent this process is, zombies too.
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

/// How many tasks live and end: 200, or as many as `LEAK_TASKS` says.
fn task_count() -> u32 {
    let asked = std::env::var("LEAK_TASKS").ok();
    asked.map_or(200, |count| count.parse().unwrap())
}
