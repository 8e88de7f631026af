//! `assemble up` from the command line, with a shell in place of every image.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A project with one task definition, and containers that each run a line of shell.
struct Project(TempDir);

impl Project {
    fn new(containers: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("assemblies")).unwrap();
        let definition = json!({ "family": "test", "containerDefinitions": containers });
        fs::write(folder.path().join("task.json"), definition.to_string()).unwrap();
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .arg("up")
            .arg(self.0.path().join("task.json"))
            .args(arguments);
        command
            .current_dir(self.0.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    fn up(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// Starts the command and waits for its first line of output.
    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();

        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("ready"), "{line}");

        child
    }
}

fn shell(name: &str, line: &str) -> Value {
    json!({ "name": name, "image": "sh", "memory": 64, "entryPoint": ["/bin/sh"],
        "command": ["-c", line] })
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
}

const WITH_SHELL: [&str; 2] = ["--program", "app=/bin/sh"];

#[test]
fn exits_with_the_code_of_the_essential_container() {
    let project = Project::new(json!([shell("app", "echo hello; echo oh >&2; exit 3")]));
    let (code, stdout, stderr) = project.up(&WITH_SHELL);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stdout.contains("app  | hello"), "{stdout}");
    assert!(
        stderr.contains("EssentialContainerExited: Essential container in task exited (`app`)")
    );
    assert!(stderr.contains("a service would start another task"));

    assert!(stderr.contains("last output of `app`:\n  oh"), "{stderr}");
}

#[test]
fn exits_with_the_code_of_a_chosen_container() {
    let mut test = shell("test", "exit 7");
    test["essential"] = json!(false);
    let mut app = shell("app", "exit 0");
    app["dependsOn"] = json!([{ "containerName": "test", "condition": "COMPLETE" }]);
    let project = Project::new(json!([test, app]));
    let programs = ["--bin", "app=/bin/sh", "--bin", "test=/bin/sh"];
    // Without the flag, the essential container decides.
    let (code, _, stderr) = project.up(&programs);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = project.up(&[&programs[..], &["--exit-code-from", "test"]].concat());
    assert_eq!(code, Some(7), "{stderr}");
}

#[test]
fn a_smoke_test_waits_for_healthy() {
    let mut app = shell("app", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    app["healthCheck"] = json!({ "command": ["CMD-SHELL", "exit 0"], "interval": 5 });
    let project = Project::new(json!([app]));
    // An interval of 5 s becomes 50 ms.
    let smoke = ["--until-healthy", "--fast-health", "100"];
    let (code, _, stderr) = project.up(&[&WITH_SHELL[..], &smoke].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Task stopped: it was ready"), "{stderr}");
}

#[test]
fn a_task_that_never_becomes_healthy_fails_the_smoke_test() {
    let mut app = shell("app", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    app["healthCheck"] = json!({ "command": ["CMD-SHELL", "exit 1"], "interval": 5 });
    let project = Project::new(json!([app]));
    let smoke = ["--until-healthy", "--fast-health", "100", "--timeout", "1s"];
    let (code, _, stderr) = project.up(&[&WITH_SHELL[..], &smoke].concat());
    assert_eq!(code, Some(124), "{stderr}");
}

#[test]
fn a_container_without_a_program_can_be_skipped_or_stubbed() {
    let mut app = shell("app", "exit 0");
    app["dependsOn"] = json!([{ "containerName": "agent", "condition": "START" }]);
    let agent = json!({ "name": "agent", "image": "agent:1", "essential": false });
    let project = Project::new(json!([app, agent]));

    for how in ["--skip", "--stub"] {
        let (code, _, stderr) = project.up(&[&WITH_SHELL[..], &[how, "agent"]].concat());
        assert_eq!(code, Some(0), "{how}: {stderr}");
    }

    // Both misspelt names are reported together.
    let (code, _, stderr) =
        project.up(&[&WITH_SHELL[..], &["--skip", "agnet", "--stub", "x"]].concat());
    assert_eq!(code, Some(125), "{stderr}");
    assert!(
        stderr.contains("`--skip agnet`") && stderr.contains("`--stub x`"),
        "{stderr}"
    );
    let (code, _, stderr) = project.up(&[&WITH_SHELL[..], &["--skip", "app"]].concat());

    assert_eq!(code, Some(125), "{stderr}");
    assert!(stderr.contains("no essential container"), "{stderr}");
}

#[test]
fn reads_variables_from_a_file_that_the_command_line_overrides() {
    let project = Project::new(json!([shell("app", "echo \"$A $B.\"")]));
    fs::write(
        project.0.path().join("dev.env"),
        "# mine\nA=file\napp:B=file\n",
    )
    .unwrap();
    let words = ["--env-file", "dev.env", "--env", "A=line"];
    let (code, stdout, stderr) = project.up(&[&WITH_SHELL[..], &words].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("| line file.\n"), "{stdout}");
}

#[test]
fn a_container_does_not_inherit_the_environment() {
    let project = Project::new(json!([shell("app", "echo \"$OWN $FOREIGN.\"")]));
    let mut command = project.command(&WITH_SHELL);
    command
        .args(["--env", "app:OWN=mine"])
        .env("FOREIGN", "theirs");
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(stdout.contains("| mine .\n"), "{stdout}");
}

#[test]
fn reports_all_missing_secrets_ready_to_paste() {
    let mut app = shell("app", "echo \"got $ONE\"");
    app["secrets"] = json!([
        { "name": "ONE", "valueFrom": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:one-abcdef" },
        { "name": "TWO", "valueFrom": "/parameter/two" },
    ]);

    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&WITH_SHELL);
    assert_eq!(code, Some(125));

    let arn = "\"arn:aws:secretsmanager:eu-central-1:000000000000:secret:one-abcdef\" = \"\"\n";
    assert!(
        stderr.contains(arn) && stderr.contains("\"/parameter/two\" = \"\"\n"),
        "{stderr}"
    );

    let folder = project.0.path().join(".assemble");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("secrets.toml");
    // By name for the ARN, without the random suffix; by the full name for the parameter.
    fs::write(&file, "one = \"hush\"\n\"/parameter/two\" = \"x\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, stdout, _) = project.up(&WITH_SHELL);

    assert_eq!(code, Some(0));
    assert!(stdout.contains("got hush"));
}

#[test]
fn reports_every_container_without_a_program() {
    let project = Project::new(json!([shell("app", ""), shell("other", "")]));
    let (code, _, stderr) = project.up(&[]);
    // As a shell's "command not found".
    assert_eq!(code, Some(127));
    assert!(stderr.contains("--stub app") && stderr.contains("--skip app"));
    assert!(stderr.contains("--program app=FILE") && stderr.contains("--program other=FILE"));
}

#[test]
fn a_file_that_is_not_executable_has_another_exit_code_than_a_missing_one() {
    let project = Project::new(json!([shell("app", "")]));
    fs::write(project.0.path().join("text"), "no program").unwrap();
    let (code, _, stderr) = project.up(&["--program", "app=text"]);
    assert_eq!(code, Some(126), "{stderr}");
    assert!(stderr.contains("`text` is not executable"), "{stderr}");
    let (code, _, stderr) = project.up(&["--program", "app=nothing"]);
    assert_eq!(code, Some(127), "{stderr}");
}

/// Writes a third-party component that has no local program.
fn third_party(project: &Project, name: &str, local: &str) {
    let folder = project.0.path().join("assemblies/components").join(name);
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "schema: 1\nname: {name}\nkind: sidecar\nsummary: Third-party\nimage: {name}:1\n\
         size: {{ cpu: 32, memory: 64 }}\ncontainer: {{}}\nlocal: {local}\n"
    );
    fs::write(folder.join("component.yaml"), text).unwrap();
}

#[test]
fn components_without_a_program_are_skipped_or_stubbed() {
    let mut app = shell("app", "echo continued");
    // Neither condition could hold without a program; both are treated as satisfied.
    app["dependsOn"] = json!([
        { "containerName": "agent", "condition": "HEALTHY" },
        { "containerName": "hop", "condition": "HEALTHY" },
    ]);

    let agent = json!({ "name": "agent", "image": "agent:1", "memory": 64, "essential": false,
        "healthCheck": { "command": ["CMD", "/agent", "health"] },
        "secrets": [{ "name": "KEY", "valueFrom": "not-set-locally" }] });
    let mut hop = agent.clone();

    (hop["name"], hop["image"]) = (json!("hop"), json!("hop:1"));
    let project = Project::new(json!([app, agent, hop]));
    third_party(&project, "agent", "skip");
    third_party(&project, "hop", "stub");

    let (code, stdout, stderr) = project.up(&WITH_SHELL);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("| continued"), "{stdout}");
    assert!(stderr.contains("agent: skipped"), "{stderr}");
    assert!(
        stderr.contains("hop: replaced with a stub (sleep)"),
        "{stderr}"
    );
}

#[test]
fn json_prints_one_object_per_line_and_state_change() {
    let project = Project::new(json!([shell("app", "echo hello; exit 4")]));
    let (code, stdout, _) = project.up(&[WITH_SHELL.as_slice(), &["--json"]].concat());
    assert_eq!(code, Some(4));

    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();

    assert!(
        lines
            .iter()
            .any(|line| line["type"] == "log" && line["line"] == "hello")
    );
    let last = lines.last().unwrap();

    assert_eq!(last["detail"]["lastStatus"], "STOPPED");
    assert_eq!(last["detail"]["containers"][0]["exitCode"], 4);
}

/// A task with a role and a container that requests a path of the metadata endpoint and prints the response.
fn request_with_role(path: &str) -> Project {
    let line = format!("curl -sS -m 5 \"{path}\"; echo; env");
    let mut definition = json!({ "family": "test", "containerDefinitions": [shell("app", &line)] });
    definition["taskRoleArn"] = "arn:aws:iam::111122223333:role/app".into();
    let project = Project::new(json!([]));
    fs::write(project.0.path().join("task.json"), definition.to_string()).unwrap();
    project
}

#[test]
fn a_task_without_a_service_cannot_be_protected() {
    let project = request_with_role("$ECS_AGENT_URI/task-protection/v1/state");
    let (_, stdout, stderr) = project.up(&WITH_SHELL);
    // ECS protects tasks of services only.
    assert!(stdout.contains("TASK_NOT_VALID"), "{stdout}{stderr}");
}

#[test]
fn variables_and_metadata_have_the_same_region() {
    let project = request_with_role("$ECS_CONTAINER_METADATA_URI_V4/task");
    let (_, stdout, stderr) = project.up(&WITH_SHELL);
    let expected = [
        "| AWS_REGION=us-east-1\n",
        "| AWS_DEFAULT_REGION=us-east-1\n",
        "arn:aws:ecs:us-east-1:",
    ];
    for text in expected {
        assert!(stdout.contains(text), "{text}\n{stdout}{stderr}");
    }
}

#[test]
fn a_task_with_a_role_gets_a_hint_how_to_enable_credentials() {
    let own = request_with_role("http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let (_, stdout, stderr) = own.up(&WITH_SHELL);
    // The host may not allow network namespaces.
    if stderr.contains("the task shares the host's network") {
        assert!(
            stdout.contains("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:"),
            "{stdout}"
        );
    } else {
        assert!(
            stdout.contains("credentials are off here") && stdout.contains("--credentials role"),
            "{stdout}{stderr}"
        );
    }

    let in_host_network = request_with_role("$AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (_, stdout, stderr) = in_host_network.up(&[&WITH_SHELL[..], &["--net", "host"]].concat());
    assert!(
        stdout.contains("credentials are off here"),
        "{stdout}{stderr}"
    );
    // Without a role an SDK would not ask.
    let without = Project::new(json!([shell("app", "env")]));
    let (_, stdout, _) = without.up(&WITH_SHELL);
    assert!(!stdout.contains("AWS_CONTAINER_CREDENTIALS"), "{stdout}");
}

#[test]
fn metadata_events_and_record_have_the_same_ids() {
    let project = request_with_role("$ECS_CONTAINER_METADATA_URI_V4/task");
    let (_, stdout, stderr) = project.up(&[&WITH_SHELL[..], &["--json", "--name", "one"]].concat());
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The only line of output that is JSON is the endpoint's response.
    let metadata = lines
        .iter()
        .filter_map(|line| line["line"].as_str())
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .next_back()
        .ok_or(stderr)
        .unwrap();
    let arn = &metadata["TaskARN"];

    assert!(lines.iter().all(|line| line["taskArn"] == *arn), "{stdout}");
    let record = fs::read(project.0.path().join(".assemble/run/one/task.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let task = &record["tasks"][0];

    assert_eq!(
        (&task["taskArn"], &task["runName"]),
        (arn, &json!("one")),
        "{task:#}"
    );
    assert_eq!(
        task["containers"][0]["containerArn"],
        metadata["Containers"][0]["ContainerARN"]
    );
    assert!(task["createdAt"].is_f64() && task["stoppedAt"].is_f64());
}

#[test]
fn rejects_a_definition_with_nothing_to_run() {
    let unnamed =
        json!([{ "image": "sh" }, shell("app", "exit 0"), { "name": "", "image": "hop" }]);
    for (containers, messages) in [
        (json!([]), &["has no containers"][..]),
        (
            json!([{ "name": "a", "image": "sh", "essential": false }]),
            &["no container is essential"],
        ),
        (
            unnamed,
            &[
                "`/containerDefinitions/0` (image `sh`) has no name",
                "`/containerDefinitions/2` (image `hop`) has no name",
            ],
        ),
    ] {
        let (code, _, stderr) = Project::new(containers).up(&[]);
        assert_eq!(code, Some(125), "{stderr}");
        assert!(
            messages.iter().all(|message| stderr.contains(message)),
            "{stderr}"
        );
        // Hints with an empty name would be useless.
        assert!(
            !stderr.contains("--skip") && !stderr.contains("``"),
            "{stderr}"
        );
    }
}

#[test]
fn the_first_interrupt_stops_in_order() {
    let line = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let project = Project::new(json!([shell("app", line)]));
    let mut child = project.start(&WITH_SHELL);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_second_interrupt_kills() {
    let line = "trap 'echo stopping' TERM; echo ready; while :; do sleep 0.01; done";
    let project = Project::new(json!([shell("app", line)]));
    let mut command = project.command(&WITH_SHELL);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();

    assert!(lines.next().unwrap().unwrap().contains("ready"));
    interrupt(&child);
    // The trap keeps the shell running, so only a kill ends it.
    // The trap does not exit, so only a kill ends the shell.
    assert!(lines.next().unwrap().unwrap().contains("stopping"));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn a_smoke_test_stops_once_the_task_is_ready() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let mut app = shell("app", line);

    // The shell may be stopped before it has set its trap, and as PID 1 it would ignore the signal.
    app["linuxParameters"] = json!({ "initProcessEnabled": true });
    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&[WITH_SHELL.as_slice(), &["--until-ready"]].concat());
    assert_eq!(code, Some(0), "{stderr}");

    assert!(
        stderr.contains("UserInitiated: Task stopped: it was ready"),
        "{stderr}"
    );
}

#[test]
fn a_timeout_has_exit_code_124() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let project = Project::new(json!([shell("app", line)]));
    let (code, ..) = project.up(&[WITH_SHELL.as_slice(), &["--timeout", "300ms"]].concat());
    assert_eq!(code, Some(124));
}

#[test]
fn in_the_hosts_network_listeners_use_the_loopback_and_a_port_in_use_is_reported() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let mut app = shell("app", "echo \"$APP_LISTEN\"");
    app["environment"] = json!([{ "name": "APP_LISTEN", "value": format!("0.0.0.0:{port}") }]);

    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&[WITH_SHELL.as_slice(), &["--net", "host"]].concat());
    assert_eq!(code, Some(125));
    assert!(
        stderr.contains(&format!("`app` needs 127.0.0.1:{port}")),
        "{stderr}"
    );
    // 0.0.0.0 became 127.0.0.1.
    drop(busy);
    let (code, stdout, _) = project.up(&[WITH_SHELL.as_slice(), &["--net", "host"]].concat());

    assert_eq!(code, Some(0));
    assert!(stdout.contains(&format!("| 127.0.0.1:{port}")), "{stdout}");
}

#[test]
fn a_development_token_has_the_requested_claims() {
    let project = Project::new(json!([]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
    command.args([
        "dev-token",
        "--audience",
        "videos",
        "--scope",
        "read",
        "--ttl",
        "90s",
    ]);

    let output = command
        .arg("--project")
        .arg(project.0.path())
        .output()
        .unwrap();

    assert!(output.status.success());
    let token = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<_> = token.trim().split('.').collect();
    assert_eq!(parts.len(), 3);

    let decode = |part: &str| {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };

    let (header, claims) = (decode(parts[0]), decode(parts[1]));
    assert_eq!(header["alg"], "ES256");
    assert_eq!(
        (&claims["aud"], &claims["scope"]),
        (&json!("videos"), &json!("read"))
    );

    let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(lifetime, 90);
    let keys = project.0.path().join(".assemble/dev/jwks.json");
    let keys: Value = serde_json::from_slice(&fs::read(keys).unwrap()).unwrap();
    // auth-filter finds the key by its id.
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);
}
