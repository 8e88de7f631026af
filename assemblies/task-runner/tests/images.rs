//! Containers that run in an image. The image consists of one statically linked busybox.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a panic fails the test; skipped tests are printed"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use support::{RunningTask, exit_code, plan};
use task_runner::{EventKind, Image, Program, RunPlan, TaskReport};
use tempfile::TempDir;

/// Creates an image with a shell and a few commands, and a plan with one container in it.
fn image_task(
    script: &str,
    more: Value,
    change: impl FnOnce(&mut Image),
) -> Option<(TempDir, RunPlan)> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("image");
    for name in ["bin", "etc", "data"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }

    let Ok(_) = fs::copy("/bin/busybox", root.join("bin/busybox")) else {
        eprintln!("skipped: there is no /bin/busybox (Debian: busybox-static)");
        return None;
    };

    for name in [
        "sh", "cat", "echo", "id", "ls", "sleep", "touch", "pwd", "mount", "ps", "mknod", "chown",
        "su",
    ] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }

    // `root` and one ordinary user with another group id.
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nweb:x:101:102::/home/web:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.join("data/given"), "from the image").unwrap();

    let mut image = Image {
        root,
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        folder: "/data".into(),
        ..Image::default()
    };

    change(&mut image);
    let mut container = json!({ "name": "box", "image": "box:1" });
    let fields = container.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());

    let mut plan = plan(folder.path(), vec![container]);
    if plan.sandbox.is_none() {
        eprintln!("skipped: this host grants no namespaces");
        return None;
    }

    let program = Program::from_image(image, &plan.definition.container_definitions[0]);
    plan.programs.insert("box".into(), program);
    Some((folder, plan))
}

/// Runs the plan, and checks that the image is unchanged and the writable layer removed.
async fn run((folder, plan): (TempDir, RunPlan)) -> (TaskReport, Vec<String>) {
    let root = folder.path().join("image");
    let before = files(&root);
    let mut task = RunningTask::from_plan(folder, plan);
    // The folder is dropped with the task; kept here to look at it afterwards.
    let folder = std::mem::replace(&mut task.folder, tempfile::tempdir().unwrap());
    let (report, events) = task.end().await;

    assert_eq!(files(&root), before, "the image is unchanged");
    assert!(
        !folder.path().join("images").exists(),
        "the writable layer is removed"
    );

    let lines = events.iter().filter_map(|event| match &event.kind {
        EventKind::Log { line, .. } => Some(line.clone()),
        _ => None,
    });

    (report, lines.collect())
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        found.push(path.display().to_string());
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_container_reads_the_files_of_its_image_and_writes_above_them() {
    let script = "pwd; cat given; echo; touch new && ls; ls / | cat; touch /etc/mine && echo wrote; echo $$ $SCHEMA $HOME";
    let set = |image: &mut Image| drop(image.environment.insert("SCHEMA".into(), "round".into()));
    let Some(image_task) = image_task(script, json!({}), set) else {
        return;
    };
    let (report, lines) = run(image_task).await;

    assert_eq!(exit_code(&report, "box"), Some(0), "{lines:?}");
    let (output, rest) = lines.split_at(4);
    assert_eq!(output, ["/data", "from the image", "given", "new"]);

    // The root folder contains nothing of the host.
    assert_eq!(
        rest,
        [
            "bin",
            "data",
            "dev",
            "etc",
            "proc",
            "sys",
            "wrote",
            "1 round /root"
        ]
    );
}

#[tokio::test]
async fn volumes_stay_writable_with_a_read_only_root() {
    // In one stream: lines of stdout and stderr are read separately and have no common order.
    let script = "exec 2>&1; touch /data/x; touch /var/store/x && echo kept; touch /small/y && echo small; echo z > /dev/null && echo null";
    let more = json!({
        "readonlyRootFilesystem": true,
        "mountPoints": [{ "sourceVolume": "store", "containerPath": "/var/store" }],
        "linuxParameters": { "tmpfs": [{ "containerPath": "/small", "size": 8 }] },
    });
    let Some(image_task) = image_task(script, more, |_| {}) else {
        return;
    };
    let (_, lines) = run(image_task).await;

    assert!(lines[0].contains("Read-only file system"), "{lines:?}");
    assert_eq!(lines[1..], ["kept", "small", "null"]);
}

#[tokio::test]
async fn a_user_is_looked_up_in_the_image() {
    let set = |image: &mut Image| image.user = Some("web".into());
    let Some(image_task) = image_task("id -u; id -g; echo $HOME", json!({}), set) else {
        return;
    };
    let (_, lines) = run(image_task).await;
    assert_eq!(lines, ["101", "102", "/home/web"]);
}

#[tokio::test]
async fn root_in_an_image_has_no_rights_outside_of_it() {
    let script = "mount -t tmpfs none /data 2>/dev/null || echo no mounts; mknod /data/disk b 8 0 2>/dev/null || echo no devices; \
                  id -u; touch given && echo mine";
    let Some(image_task) = image_task(script, json!({}), |_| {}) else {
        return;
    };
    let (_, lines) = run(image_task).await;
    // Without root on the host only the caller's id is mapped.
    let own = if rustix::process::geteuid().is_root() {
        "0".to_owned()
    } else {
        rustix::process::geteuid().as_raw().to_string()
    };

    assert_eq!(lines, ["no mounts", "no devices", &own, "mine"]);
}

#[tokio::test]
async fn root_in_an_image_can_chown_and_change_its_user_if_root_runs_it() {
    let script = "touch mine && chown web mine && ls -n mine | cat; su web -c 'id -u; touch mine && echo may'; touch /etc/passwd; \
                  trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let Some((folder, plan)) = image_task(script, json!({}), |_| {}) else {
        return;
    };

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: without root an image has only one user");
        return;
    }

    let mut task = RunningTask::from_plan(folder, plan);
    let line = task.wait_for_line("box", "-rw").await;
    // The third column of `ls -n` is the uid.
    assert_eq!(line.split_whitespace().nth(2), Some("101"), "{line}");
    task.wait_for_line("box", "101").await;
    task.wait_for_line("box", "may").await;
    task.wait_for_line("box", "ready").await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(exit_code(&report, "box"), Some(0), "{events:#?}");
}

#[tokio::test]
async fn a_container_of_another_user_ends_with_its_killed_init() {
    let set = |image: &mut Image| image.user = Some("web".into());
    let Some((folder, plan)) = image_task("echo ready; sleep 60", json!({}), set) else {
        return;
    };
    let mut task = RunningTask::from_plan(folder, plan);

    task.wait_for_line("box", "ready").await;
    let pid = task.pid("box");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let init = after.split(' ').nth(1).unwrap();
    let killed = std::process::Command::new("kill")
        .args(["-9", init])
        .status();

    assert!(killed.unwrap().success());
    support::wait_until_gone(pid).await;
    let (report, _) = task.end().await;
    assert_eq!(exit_code(&report, "box"), Some(137));
}

#[tokio::test]
async fn entry_point_and_command_override_those_of_the_image() {
    let entry = |image: &mut Image| image.entry_point = vec!["/bin/echo".into(), "entry".into()];
    // As in Docker: an entryPoint drops the image's command, too.
    let cases = [
        (json!({}), "entry /bin/sh -c own"),
        (json!({ "command": ["other"] }), "entry other"),
        (json!({ "entryPoint": ["echo", "mine"] }), "mine"),
        (
            json!({ "entryPoint": ["echo"], "command": ["a", "b"] }),
            "a b",
        ),
    ];

    for (more, expected) in cases {
        let Some(image_task) = image_task("own", more, entry) else {
            return;
        };
        let (_, lines) = run(image_task).await;
        assert_eq!(lines, [expected]);
    }
}

#[tokio::test]
async fn the_stop_signal_of_the_image_is_sent() {
    let script = "trap 'echo quit; exit 3' QUIT; echo ready; while :; do sleep 0.05; done";
    let set = |image: &mut Image| image.stop_signal = Some("SIGQUIT".into());
    let Some((folder, plan)) = image_task(script, json!({ "stopTimeout": 20 }), set) else {
        return;
    };
    let mut task = RunningTask::from_plan(folder, plan);
    task.wait_for_line("box", "ready").await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(exit_code(&report, "box"), Some(3), "{events:#?}");
}

#[tokio::test]
async fn init_process_enabled_and_health_checks_work_in_an_image() {
    let script = "trap 'exit 0' TERM; echo $$; ps | cat; echo ready; while :; do sleep 0.05; done";
    let more = json!({
        "linuxParameters": { "initProcessEnabled": true },
        "healthCheck": { "command": ["CMD-SHELL", "test -f /data/given && ! test -d /usr"], "interval": 5 },
    });
    let Some((folder, mut plan)) = image_task(script, more, |_| {}) else {
        return;
    };

    plan.fast_health = 50;
    let mut task = RunningTask::from_plan(folder, plan);
    let shell_pid = task.wait_for_line("box", "").await;
    assert_ne!(shell_pid, "1", "the init is PID 1");

    let is_healthy = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Health {
                health: task_runner::machine::Health::Healthy,
                ..
            }
        )
    };

    task.wait_for(|event| is_healthy(&event.kind)).await;
    task.stop().await;
    let (report, events) = task.end().await;
    assert_eq!(exit_code(&report, "box"), Some(0), "{events:#?}");
}

#[tokio::test]
async fn enters_a_running_container_in_an_image() {
    let Some((folder, plan)) =
        image_task("echo ready; sleep 30", json!({ "stopTimeout": 2 }), |_| {})
    else {
        return;
    };

    let mut task = RunningTask::from_plan(folder, plan);
    task.wait_for_line("box", "ready").await;
    let pid = task.pid("box");

    // `enter` needs a single-threaded process, which a test is not.
    let output = std::process::Command::new(support::FIXTURE)
        .args(["enter", &pid.to_string(), "/bin/sh", "-c", "pwd; ls /"])
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();

    assert_eq!(
        stdout.split_whitespace().collect::<Vec<_>>(),
        ["/data", "bin", "data", "dev", "etc", "proc", "sys"],
        "{output:?}"
    );
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_program_missing_in_the_image_is_reported() {
    let set = |image: &mut Image| image.command = vec!["/bin/absent".into()];
    let Some(image_task) = image_task("", json!({}), set) else {
        return;
    };
    let (report, lines) = run(image_task).await;
    assert_eq!(exit_code(&report, "box"), None, "it never ran: {lines:?}");
    let reason = "CannotStartContainerError: cannot run `/bin/absent`: No such file or directory";
    assert!(report.stopped_reason.starts_with(reason), "{report:?}");
    assert!(!report.was_running);
}

#[tokio::test]
async fn a_container_cannot_change_the_kernel_or_the_host() {
    let script = "cat /proc/sys/kernel/core_pattern > /data/same; \
                  (cat /data/same > /proc/sys/kernel/core_pattern) 2>/dev/null || echo no kernel; \
                  (echo x >> /etc/hosts) 2>/dev/null || echo no hosts; \
                  echo ready; sleep 60";
    let Some((folder, plan)) = image_task(script, json!({ "stopTimeout": 2 }), |_| {}) else {
        return;
    };
    let mut task = RunningTask::from_plan(folder, plan);

    task.wait_for_line("box", "ready").await;
    let events = format!("{:?}", task.events_seen);
    assert!(
        events.contains("no kernel") && events.contains("no hosts"),
        "{events}"
    );

    let status = fs::read_to_string(format!("/proc/{}/status", task.pid("box"))).unwrap();
    let line = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
    };

    assert_ne!(
        line("Uid:").split_whitespace().next(),
        Some("0"),
        "root in the image is another user outside"
    );

    // Bit 21 is CAP_SYS_ADMIN.
    let own = u64::from_str_radix(line("CapBnd:").trim(), 16).unwrap();
    assert_eq!(own & 1 << 21, 0, "CAP_SYS_ADMIN is gone: {own:x}");
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_symlink_in_an_image_never_leads_to_the_host() {
    let outside = tempfile::tempdir().unwrap();
    let link = outside.path().to_owned();
    let set = move |image: &mut Image| {
        symlink(&link, image.root.join("evil")).unwrap();
        symlink(link.join("name"), image.root.join("etc/hostname")).unwrap();
    };
    let more =
        json!({ "mountPoints": [{ "sourceVolume": "store", "containerPath": "/evil/made" }] });
    let Some(image_task) = image_task("ls /evil", more, set) else {
        return;
    };
    let (_, lines) = run(image_task).await;

    // The target of the link is created in the image, or refused.
    assert!(
        files(outside.path()).is_empty(),
        "{lines:?} {:?}",
        files(outside.path())
    );
}
