//! Containers that live among the files of an image. The image is one statically linked busybox.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use support::{Running, code, plan};
use task_runner::{EventKind, Image, Program, RunPlan, TaskReport};
use tempfile::TempDir;

/// A folder with an image of a shell and a few commands, and a plan of one container in it.
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
        eprintln!("skipped: this machine gives out no namespaces");
        return None;
    }

    let program = Program::from_image(image, &plan.definition.container_definitions[0]);
    plan.programs.insert("box".into(), program);
    Some((folder, plan))
}

async fn run((folder, plan): (TempDir, RunPlan)) -> (TaskReport, Vec<String>) {
    let root = folder.path().join("image");
    let before = files(&root);
    let mut task = Running::of(folder, plan);
    let folder = std::mem::replace(&mut task.folder, tempfile::tempdir().unwrap());
    let (finished, heard) = task.end().await;

    assert_eq!(files(&root), before, "the image is as it was");
    assert!(
        !folder.path().join("images").exists(),
        "what was written is gone"
    );

    let lines = heard.iter().filter_map(|event| match &event.what {
        EventKind::Log { line, .. } => Some(line.clone()),
        _ => None,
    });

    (finished, lines.collect())
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
async fn a_container_sees_the_files_of_its_image_and_writes_onto_them() {
    let script = "pwd; cat given; echo; touch new && ls; ls / | cat; touch /etc/mine && echo wrote; echo $$ $SHAPE $HOME";
    let set = |image: &mut Image| drop(image.environment.insert("SHAPE".into(), "round".into()));
    let Some(image_task) = image_task(script, json!({}), set) else {
        return;
    };
    let (finished, lines) = run(image_task).await;

    assert_eq!(code(&finished, "box"), Some(0), "{lines:?}");
    let (said, rest) = lines.split_at(4);
    assert_eq!(said, ["/data", "from the image", "given", "new"]);

    // Nothing of this machine's.
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
async fn a_volume_can_be_written_to_where_a_read_only_root_cannot() {
    let script = "touch /data/x; touch /var/store/x && echo kept; touch /small/y && echo small; echo z > /dev/null && echo null";
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
async fn a_user_is_one_of_the_images() {
    let set = |image: &mut Image| image.user = Some("web".into());
    let Some(image_task) = image_task("id -u; id -g; echo $HOME", json!({}), set) else {
        return;
    };
    let (_, lines) = run(image_task).await;
    assert_eq!(lines, ["101", "102", "/home/web"]);
}

#[tokio::test]
async fn root_of_an_image_is_root_of_nothing_else() {
    let script = "mount -t tmpfs none /data 2>/dev/null || echo no mounts; mknod /data/disk b 8 0 2>/dev/null || echo no devices; \
                  id -u; touch given && echo mine";
    let Some(image_task) = image_task(script, json!({}), |_| {}) else {
        return;
    };
    let (_, lines) = run(image_task).await;
    let own = if rustix::process::geteuid().is_root() {
        "0".to_owned()
    } else {
        rustix::process::geteuid().as_raw().to_string()
    };

    assert_eq!(lines, ["no mounts", "no devices", &own, "mine"]);
}

#[tokio::test]
async fn root_may_give_files_away_and_become_somebody_else_where_root_runs_it() {
    let script = "touch mine && chown web mine && ls -n mine | cat; su web -c 'id -u; touch mine && echo may'; touch /etc/passwd; \
                  trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let Some((folder, plan)) = image_task(script, json!({}), |_| {}) else {
        return;
    };

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: for others than root only one user exists in an image");
        return;
    }

    let mut task = Running::of(folder, plan);
    let line = task.until_said("box", "-rw").await;
    assert_eq!(line.split_whitespace().nth(2), Some("101"), "{line}");
    task.until_said("box", "101").await;
    task.until_said("box", "may").await;
    task.until_said("box", "ready").await;
    task.stop().await;
    let (finished, heard) = task.end().await;
    assert_eq!(code(&finished, "box"), Some(0), "{heard:#?}");
}

#[tokio::test]
async fn a_container_of_another_user_ends_with_its_killed_init() {
    let set = |image: &mut Image| image.user = Some("web".into());
    let Some((folder, plan)) = image_task("echo ready; sleep 60", json!({}), set) else {
        return;
    };
    let mut task = Running::of(folder, plan);

    task.until_said("box", "ready").await;
    let pid = task.pid("box");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(") ").unwrap();
    let init = after.split(' ').nth(1).unwrap();
    let killed = std::process::Command::new("kill")
        .args(["-9", init])
        .status();

    assert!(killed.unwrap().success());
    support::until_gone(pid).await;
    let (finished, _) = task.end().await;
    assert_eq!(code(&finished, "box"), Some(137));
}

#[tokio::test]
async fn a_definition_takes_the_place_of_what_an_image_runs() {
    let entry = |image: &mut Image| image.entry_point = vec!["/bin/echo".into(), "entry".into()];
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
async fn the_signal_of_an_image_asks_it_to_stop() {
    let script = "trap 'echo quit; exit 3' QUIT; echo ready; while :; do sleep 0.05; done";
    let set = |image: &mut Image| image.stop_signal = Some("SIGQUIT".into());
    let Some((folder, plan)) = image_task(script, json!({ "stopTimeout": 20 }), set) else {
        return;
    };
    let mut task = Running::of(folder, plan);
    task.until_said("box", "ready").await;
    task.stop().await;
    let (finished, heard) = task.end().await;
    assert_eq!(code(&finished, "box"), Some(3), "{heard:#?}");
}

#[tokio::test]
async fn an_init_stands_before_an_image_and_health_is_asked_within_it() {
    let script = "trap 'exit 0' TERM; echo $$; ps | cat; echo ready; while :; do sleep 0.05; done";
    let more = json!({
        "linuxParameters": { "initProcessEnabled": true },
        "healthCheck": { "command": ["CMD-SHELL", "test -f /data/given && ! test -d /usr"], "interval": 5 },
    });
    let Some((folder, mut plan)) = image_task(script, more, |_| {}) else {
        return;
    };

    plan.fast_health = 50;
    let mut task = Running::of(folder, plan);
    let itself = task.until_said("box", "").await;
    assert_ne!(itself, "1", "the init is PID 1");

    let is_healthy = |what: &EventKind| {
        matches!(
            what,
            EventKind::Health {
                health: task_runner::machine::Health::Healthy,
                ..
            }
        )
    };

    task.until(|event| is_healthy(&event.what)).await;
    task.stop().await;
    let (finished, heard) = task.end().await;
    assert_eq!(code(&finished, "box"), Some(0), "{heard:#?}");
}

#[tokio::test]
async fn a_command_of_somebodys_own_runs_within_the_image() {
    let Some((folder, plan)) =
        image_task("echo ready; sleep 30", json!({ "stopTimeout": 2 }), |_| {})
    else {
        return;
    };

    let mut task = Running::of(folder, plan);
    task.until_said("box", "ready").await;
    let pid = task.pid("box");

    // `enter` belongs into a process without threads: the fixture is one.
    let output = std::process::Command::new(support::FIXTURE)
        .args(["enter", &pid.to_string(), "/bin/sh", "-c", "pwd; ls /"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();

    assert_eq!(
        said.split_whitespace().collect::<Vec<_>>(),
        ["/data", "bin", "data", "dev", "etc", "proc", "sys"],
        "{output:?}"
    );
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_program_that_an_image_lacks_is_told() {
    let set = |image: &mut Image| image.command = vec!["/bin/absent".into()];
    let Some(image_task) = image_task("", json!({}), set) else {
        return;
    };
    let (finished, lines) = run(image_task).await;
    assert_eq!(code(&finished, "box"), None, "it never ran: {lines:?}");
    let reason = "CannotStartContainerError: cannot run `/bin/absent`: No such file or directory";
    assert!(finished.stopped_reason.starts_with(reason), "{finished:?}");
    assert!(!finished.was_running);
}

#[tokio::test]
async fn an_image_changes_nothing_of_the_kernel_and_of_the_machine() {
    let script = "cat /proc/sys/kernel/core_pattern > /data/same; \
                  (cat /data/same > /proc/sys/kernel/core_pattern) 2>/dev/null || echo no kernel; \
                  (echo x >> /etc/hosts) 2>/dev/null || echo no hosts; \
                  echo ready; sleep 60";
    let Some((folder, plan)) = image_task(script, json!({ "stopTimeout": 2 }), |_| {}) else {
        return;
    };
    let mut task = Running::of(folder, plan);

    task.until_said("box", "ready").await;
    let heard = format!("{:?}", task.heard);
    assert!(
        heard.contains("no kernel") && heard.contains("no hosts"),
        "{heard}"
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
        "root there is nobody here"
    );

    let own = u64::from_str_radix(line("CapBnd:").trim(), 16).unwrap();
    assert_eq!(own & 1 << 21, 0, "CAP_SYS_ADMIN is gone: {own:x}");
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_link_of_an_image_leads_nowhere_but_into_the_image() {
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

    // What the link names is made within the image, or refused; never on this machine.
    assert!(
        files(outside.path()).is_empty(),
        "{lines:?} {:?}",
        files(outside.path())
    );
}
