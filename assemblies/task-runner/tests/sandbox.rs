//! The environment of a container: network, mounts and user.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic fails the test"
)]

mod support;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{LIMIT, RunningTask, exit_code, is_line, plan};
use task_runner::sandbox::{Boundary, Isolation, METADATA_ADDRESS, Sandbox, Traffic, forward};
use task_runner::{Program, RunPlan, TaskReport};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Runs shell scripts, one container each.
struct Scripts {
    folder: TempDir,
    plan: RunPlan,
}

impl Scripts {
    fn new(containers: &[(&str, &str, Value)], more: Value) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let container = |(name, script, more): &(&str, &str, Value)| {
            let container = json!({ "name": name, "image": "sh", "entryPoint": ["sh"], "command": ["-c", script] });
            merge(container, more)
        };
        let mut plan = plan(folder.path(), containers.iter().map(container).collect());
        let definition = serde_json::to_value(&plan.definition).unwrap();

        plan.definition = serde_json::from_value(merge(definition, &more)).unwrap();
        for program in plan.programs.values_mut() {
            *program = Program {
                binary: "/bin/sh".into(),
                ..program.clone()
            };
        }

        if plan.sandbox.is_none() {
            skip();
            return None;
        }

        Some(Self { folder, plan })
    }

    async fn run(self) -> (TaskReport, Vec<String>) {
        let task = RunningTask::from_plan(self.folder, self.plan);
        let (report, events) = task.end().await;
        let lines = events.iter().filter_map(|event| match &event.kind {
            task_runner::EventKind::Log { line, .. } => Some(line.clone()),
            _ => None,
        });
        (report, lines.collect())
    }
}

/// Reports the test as skipped; the harness names its thread after it.
fn skip() {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let line = format!("skipped: {test} needs a host that grants namespaces\n");
    // Directly to stderr: the harness hides the output of tests that pass.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn merge(mut container: Value, more: &Value) -> Value {
    container
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    container
}

#[tokio::test]
async fn a_task_has_its_own_loopback_with_the_address_of_the_metadata_endpoint() {
    let script = "cat /proc/net/fib_trie | grep -c 169.254.170.2; ls /sys/class/net >/dev/null; cat /proc/net/dev | grep -c :";
    let Some(scripts) = Scripts::new(&[("app", script, json!({}))], json!({})) else {
        return;
    };
    let sandbox = Arc::clone(scripts.plan.sandbox.as_ref().unwrap());

    // The same port on the host and in the task: they are separate networks.
    let host_listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let std::net::SocketAddr::V4(address) = host_listener.local_addr().unwrap() else {
        panic!("IPv4 was requested")
    };
    let listener = sandbox.listen(address).unwrap();
    let metadata = sandbox.listen(METADATA_ADDRESS).unwrap();

    assert_eq!(
        metadata.local_addr().unwrap().to_string(),
        "169.254.170.2:80"
    );
    assert!(
        sandbox.listen(address).is_err(),
        "the address is in use in the task, too"
    );

    let listener = TcpListener::from_std(listener).unwrap();
    let (client, accepted) = tokio::join!(sandbox.connect(address), listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), accepted.unwrap());
    client.write_all(b"inside").await.unwrap();
    client.shutdown().await.unwrap();

    let mut received = String::new();
    server.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "inside");

    let (report, lines) = scripts.run().await;
    assert_eq!(exit_code(&report, "app"), Some(0), "{lines:?}");
    assert_ne!(lines[0], "0", "{lines:?}");
    assert_eq!(lines[1], "1", "lo is the only interface: {lines:?}");
}

#[tokio::test]
async fn containers_reach_each_other_and_a_port_is_forwarded_to_the_host() {
    let fixture = support::container("app", &["echo", "127.0.0.1:7"], json!({}));
    let mut task = RunningTask::new(vec![fixture]);
    let Some(sandbox) = task.sandbox.clone() else {
        return skip();
    };

    task.wait_until_ready(&["app"]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let inside: SocketAddrV4 = "127.0.0.1:7".parse().unwrap();
    let boundary = Boundary {
        traffic: Traffic::Ingress,
        port: 7,
        faults: Arc::clone(sandbox.faults()),
    };
    let forward = forward(listener, boundary, move || {
        let sandbox = Arc::clone(&sandbox);
        async move { sandbox.connect(inside).await }
    });

    let mut client = TcpStream::connect(address).await.unwrap();
    // More than the buffers on the way can hold, so that the two directions overlap.
    let sent: Vec<u8> = (0..300_000_u32)
        .map(|number| number.to_le_bytes()[1])
        .collect();
    let (mut reader, mut writer) = client.split();
    let mut received = Vec::new();
    let send = async {
        writer.write_all(&sent).await.unwrap();
        // Closing one direction must not close the other: the rest of the echo still arrives.
        writer.shutdown().await.unwrap();
    };
    let ((), read) = tokio::join!(send, timeout(LIMIT, reader.read_to_end(&mut received)));

    read.unwrap().unwrap();
    assert!(
        received == sent,
        "{} bytes of {}",
        received.len(),
        sent.len()
    );
    drop(forward);
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn a_read_only_root_allows_writes_to_volumes_and_writable_paths_only() {
    let script = "cd \"$0\"; (echo x > no) 2>/dev/null && echo wrote || echo refused; echo x > kept/yes && echo kept; \
                  echo x > /data-of-test/deep/file && cat /data-of-test/deep/file; echo x >/dev/null && echo null; \
                  (echo x > /usr/no-such-file) 2>/dev/null && echo wrote || echo refused";
    let mounts = json!({
        "readonlyRootFilesystem": true,
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data-of-test/deep" }],
    });
    let volumes = json!({ "volumes": [{ "name": "data" }] });
    let Some(mut scripts) = Scripts::new(&[("app", script, mounts)], volumes) else {
        return;
    };
    let folder = scripts.folder.path().to_owned();

    fs::create_dir(folder.join("kept")).unwrap();
    scripts.plan.writable_paths = [("app".to_owned(), vec![folder.join("kept")])].into();
    scripts.plan.definition.container_definitions[0]
        .command
        .push(folder.display().to_string());

    let mut task = RunningTask::from_plan(scripts.folder, scripts.plan);
    let volume_file = task.folder.path().join("volumes/data/file");
    task.wait_until_stopped("app").await;

    let lines: Vec<String> = task
        .events_seen
        .iter()
        .filter_map(|event| match &event.kind {
            task_runner::EventKind::Log { line, .. } => Some(line.clone()),
            _ => None,
        })
        .collect();

    assert_eq!(lines, ["refused", "kept", "x", "null", "refused"]);
    assert_eq!(fs::read_to_string(volume_file).unwrap(), "x\n");
    assert_eq!(fs::read_to_string(folder.join("kept/yes")).unwrap(), "x\n");
    assert!(
        !Path::new("/data-of-test").exists(),
        "the mount point does not exist on the host"
    );
    task.end().await;
}

#[tokio::test]
async fn a_volume_is_shared_and_can_be_read_only_for_one_container() {
    let mount = |read_only: bool| json!({ "mountPoints": [{ "sourceVolume": "shared", "containerPath": "/tmp", "readOnly": read_only }] });
    let after = merge(
        mount(true),
        &json!({ "dependsOn": [{ "containerName": "writer", "condition": "SUCCESS" }] }),
    );
    let writer = merge(mount(false), &json!({ "essential": false }));
    let read =
        "cat /tmp/from-writer; (echo x > /tmp/mine) 2>/dev/null && echo wrote || echo refused";
    let containers = [
        ("reader", read, after),
        ("writer", "echo hello > /tmp/from-writer", writer),
    ];
    let Some(scripts) = Scripts::new(&containers, json!({ "volumes": [{ "name": "shared" }] }))
    else {
        return;
    };

    let (report, lines) = scripts.run().await;
    assert_eq!(exit_code(&report, "writer"), Some(0), "{lines:?}");
    assert_eq!(lines, ["hello", "refused"]);
    assert!(
        !Path::new("/tmp/from-writer").exists(),
        "the host's /tmp is not mounted over"
    );
}

#[tokio::test]
async fn a_container_has_the_user_of_its_definition_and_sees_its_own_processes_only() {
    let script = "id -u; id -g; touch mine && stat -c %u mine; ls -d /proc/[0-9]* | wc -l; cat /proc/1/comm; \
                  cat /proc/self/status | grep CapEff";
    let Some(scripts) = Scripts::new(
        &[("app", script, json!({ "user": "65532:65533" }))],
        json!({}),
    ) else {
        return;
    };

    let (_, lines) = scripts.run().await;
    assert_eq!(lines[..3], ["65532", "65533", "65532"], "{lines:?}");
    // The shell, `ls` and `wc`; a host has many more.
    let seen: usize = lines[3].parse().unwrap();
    assert!(seen < 10, "{lines:?}");
    assert_eq!(lines[4], "sh");

    assert!(
        lines[5].ends_with("0000000000000000"),
        "no capabilities are left: {lines:?}"
    );
}

#[tokio::test]
async fn a_health_check_runs_in_the_namespaces_of_the_container() {
    let check = json!({
        "command": ["CMD-SHELL", "test \"$(cat /proc/1/comm)\" = sleep && test -f /data-of-test/here && echo well"],
        "interval": 5, "retries": 1,
    });
    let more = json!({
        "healthCheck": check, "user": "1000",
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data-of-test" }],
    });
    let script = "touch /data-of-test/here; exec sleep 100";
    let Some(mut scripts) = Scripts::new(
        &[("app", script, more)],
        json!({ "volumes": [{ "name": "data" }] }),
    ) else {
        return;
    };

    scripts.plan.fast_health = 50;
    let mut task = RunningTask::from_plan(scripts.folder, scripts.plan);
    let event = task
        .wait_for(|event| matches!(event.kind, task_runner::EventKind::Health { .. }))
        .await;
    let task_runner::EventKind::Health { health, output, .. } = event.kind else {
        panic!("only health events match")
    };

    assert_eq!(health, task_runner::machine::Health::Healthy, "{output}");
    task.control
        .send(task_runner::Control::Kill {
            reason: "seen".into(),
        })
        .await
        .unwrap();
    task.end().await;
}

#[tokio::test]
async fn containers_with_pid_mode_task_see_each_other_and_are_not_pid_1() {
    let see = "echo $$; for n in 1 2 3 4 5 6 7 8 9; do grep -l marker-of-test /proc/[0-9]*/cmdline 2>/dev/null | grep -q . && echo seen && break; sleep 0.1; done";
    let other = json!({ "essential": false });
    let containers = [
        ("app", see, json!({})),
        ("other", "sleep 60; : marker-of-test", other),
    ];
    let Some(mut scripts) = Scripts::new(&containers, json!({ "pidMode": "task" })) else {
        return;
    };

    let isolation = Isolation {
        network: true,
        shared_pid_namespace: true,
    };

    scripts.plan.sandbox = Some(Arc::new(
        Sandbox::open(support::FIXTURE.as_ref(), isolation).unwrap(),
    ));
    let (_, lines) = scripts.run().await;

    assert!(lines.contains(&"seen".to_owned()), "{lines:?}");
    assert!(!lines.contains(&"1".to_owned()), "{lines:?}");
}

#[tokio::test]
async fn the_open_file_limit_is_capped_by_the_host() {
    let limits =
        json!({ "ulimits": [{ "name": "nofile", "softLimit": 100, "hardLimit": 999_999_999 }] });
    let Some(scripts) = Scripts::new(&[("app", "ulimit -Sn; ulimit -Hn", limits)], json!({}))
    else {
        return;
    };

    let (_, lines) = scripts.run().await;
    assert_eq!(lines[0], "100");
    assert!(
        lines[1].parse::<u64>().is_ok_and(|hard| hard >= 100),
        "{lines:?}"
    );
}

#[tokio::test]
async fn the_error_names_a_mount_that_cannot_be_made() {
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "data", "containerPath": "/etc/passwd/below" }] });
    let Some(scripts) = Scripts::new(
        &[("app", "true", mounts)],
        json!({ "volumes": [{ "name": "data" }] }),
    ) else {
        return;
    };

    let task = RunningTask::from_plan(scripts.folder, scripts.plan);
    let (report, events) = task.end().await;
    // The path is below a file.
    assert!(report.stopped_reason.contains("app") || !report.stopped_reason.is_empty());
    let is_logged = events
        .iter()
        .any(|event| is_line(event, "app", "cannot run"));
    assert!(is_logged, "{events:#?}");
}

#[tokio::test]
async fn no_user_can_mount_leave_its_cgroup_or_rename_the_host() {
    let script = "mount -o remount,rw / 2>/dev/null || echo no mounts; \
                  hostname elsewhere 2>/dev/null; \
                  for file in $(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs); do \
                    (echo 0 > $file) 2>/dev/null && echo left by $file; done; echo end";
    let more = json!({ "readonlyRootFilesystem": true });
    let Some(scripts) = Scripts::new(&[("app", script, more)], json!({})) else {
        return;
    };
    let before = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();

    let (_, lines) = scripts.run().await;
    assert_eq!(lines, ["no mounts", "end"]);
    let after = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn rejects_unknown_users_and_names_that_are_paths() {
    let error = |name: &'static str, more: Value| async move {
        let scripts = Scripts::new(&[(name, "true", more)], json!({}))?;
        let (events, _receiver) = tokio::sync::mpsc::channel(16);
        let (_control, controlled) = tokio::sync::mpsc::channel(1);
        let result = task_runner::run(scripts.plan, events, controlled).await;
        Some(result.unwrap_err().to_string())
    };

    let Some(message) = error("app", json!({ "user": "nobody-of-this-name" })).await else {
        return;
    };
    assert!(
        message.contains("`nobody-of-this-name` of `app`"),
        "{message}"
    );

    // Names become folders: `..` would lead out of the folder of the run.
    let message = error("../app", json!({})).await.unwrap();
    assert!(message.contains("`../app`"), "{message}");
    let volume = json!({ "mountPoints": [{ "sourceVolume": "../../x", "containerPath": "/x" }] });
    let message = error("app", volume).await.unwrap();
    assert!(message.contains("`../../x`"), "{message}");
}

#[tokio::test]
async fn volumes_from_mounts_the_volumes_of_another_container_read_only() {
    let store = json!({ "mountPoints": [{ "sourceVolume": "store", "containerPath": "/store" }] });
    let inherited = json!({ "volumesFrom": [{ "sourceContainer": "app", "readOnly": true }] });
    let containers = [
        (
            "app",
            "touch /store/x; until [ -e /store/done ]; do sleep 0.05; [ -e /store/y ] && exit 1; \
                 [ $((count += 1)) -gt 20 ] && exit 0; done",
            store,
        ),
        (
            "other",
            "until [ -e /store/x ]; do sleep 0.05; done; echo there; touch /store/y 2>/dev/null || echo only to read; sleep 5",
            merge(inherited, &json!({ "essential": false, "stopTimeout": 2 })),
        ),
    ];

    let Some(scripts) = Scripts::new(&containers, json!({ "volumes": [{ "name": "store" }] }))
    else {
        return;
    };

    let (report, lines) = scripts.run().await;
    assert_eq!(exit_code(&report, "app"), Some(0), "{lines:?}");
    assert_eq!(lines, ["there", "only to read"]);
}
