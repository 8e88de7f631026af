//! `assemble up` as somebody at a terminal meets it; a shell stands for every image.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A project with one task definition in it: containers that run a line of shell each.
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

    /// Starts it and waits for its first line.
    fn started(&self, arguments: &[&str]) -> Child {
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

const AS_SHELL: [&str; 2] = ["--program", "app=/bin/sh"];

#[test]
fn the_exit_code_is_that_of_the_essential_container() {
    let project = Project::new(json!([shell("app", "echo hello; echo oh >&2; exit 3")]));
    let (code, stdout, stderr) = project.up(&AS_SHELL);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stdout.contains("app  | hello"), "{stdout}");
    assert!(
        stderr.contains("EssentialContainerExited: Essential container in task exited (`app`)")
    );
    assert!(stderr.contains("a service would start another task"));

    assert!(
        stderr.contains("the last words of `app`:\n  oh"),
        "{stderr}"
    );
}

#[test]
fn the_exit_code_can_be_somebody_elses() {
    let mut test = shell("test", "exit 7");
    test["essential"] = json!(false);
    let mut app = shell("app", "exit 0");
    app["dependsOn"] = json!([{ "containerName": "test", "condition": "COMPLETE" }]);
    let project = Project::new(json!([test, app]));
    let programs = ["--bin", "app=/bin/sh", "--bin", "test=/bin/sh"];
    let (code, _, stderr) = project.up(&programs);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, _, stderr) = project.up(&[&programs[..], &["--exit-code-from", "test"]].concat());
    assert_eq!(code, Some(7), "{stderr}");
}

#[test]
fn a_smoke_test_waits_until_the_task_is_healthy() {
    let mut app = shell("app", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    app["healthCheck"] = json!({ "command": ["CMD-SHELL", "exit 0"], "interval": 5 });
    let project = Project::new(json!([app]));
    let smoke = ["--until-healthy", "--fast-health", "100"];
    let (code, _, stderr) = project.up(&[&AS_SHELL[..], &smoke].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("Task stopped: it was ready"), "{stderr}");
}

#[test]
fn a_task_that_never_is_healthy_fails_the_smoke_test() {
    let mut app = shell("app", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    app["healthCheck"] = json!({ "command": ["CMD-SHELL", "exit 1"], "interval": 5 });
    let project = Project::new(json!([app]));
    let smoke = ["--until-healthy", "--fast-health", "100", "--timeout", "1s"];
    let (code, _, stderr) = project.up(&[&AS_SHELL[..], &smoke].concat());
    assert_eq!(code, Some(124), "{stderr}");
}

#[test]
fn whoever_has_no_program_can_be_skipped_or_stubbed() {
    let mut app = shell("app", "exit 0");
    app["dependsOn"] = json!([{ "containerName": "agent", "condition": "START" }]);
    let agent = json!({ "name": "agent", "image": "agent:1", "essential": false });
    let project = Project::new(json!([app, agent]));

    for how in ["--skip", "--stub"] {
        let (code, _, stderr) = project.up(&[&AS_SHELL[..], &[how, "agent"]].concat());
        assert_eq!(code, Some(0), "{how}: {stderr}");
    }

    let (code, _, stderr) =
        project.up(&[&AS_SHELL[..], &["--skip", "agnet", "--stub", "x"]].concat());
    assert_eq!(code, Some(125), "{stderr}");
    assert!(
        stderr.contains("`--skip agnet`") && stderr.contains("`--stub x`"),
        "{stderr}"
    );
    let (code, _, stderr) = project.up(&[&AS_SHELL[..], &["--skip", "app"]].concat());

    assert_eq!(code, Some(125), "{stderr}");
    assert!(stderr.contains("nothing essential"), "{stderr}");
}

#[test]
fn variables_come_from_a_file_and_the_command_line_wins() {
    let project = Project::new(json!([shell("app", "echo \"$A $B.\"")]));
    fs::write(
        project.0.path().join("dev.env"),
        "# mine\nA=file\napp:B=file\n",
    )
    .unwrap();
    let words = ["--env-file", "dev.env", "--env", "A=line"];
    let (code, stdout, stderr) = project.up(&[&AS_SHELL[..], &words].concat());
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("| line file.\n"), "{stdout}");
}

#[test]
fn the_containers_environment_is_its_own() {
    let project = Project::new(json!([shell("app", "echo \"$OWN $FOREIGN.\"")]));
    let mut command = project.command(&AS_SHELL);
    command
        .args(["--env", "app:OWN=mine"])
        .env("FOREIGN", "theirs");
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(stdout.contains("| mine .\n"), "{stdout}");
}

#[test]
fn all_missing_secrets_are_told_ready_to_paste() {
    let mut app = shell("app", "echo \"got $ONE\"");
    app["secrets"] = json!([
        { "name": "ONE", "valueFrom": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:one-abcdef" },
        { "name": "TWO", "valueFrom": "/parameter/two" },
    ]);

    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&AS_SHELL);
    assert_eq!(code, Some(125));

    let arn = "\"arn:aws:secretsmanager:eu-central-1:000000000000:secret:one-abcdef\" = \"\"\n";
    assert!(
        stderr.contains(arn) && stderr.contains("\"/parameter/two\" = \"\"\n"),
        "{stderr}"
    );

    let folder = project.0.path().join(".assemble");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("secrets.toml");
    fs::write(&file, "one = \"hush\"\n\"/parameter/two\" = \"x\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, stdout, _) = project.up(&AS_SHELL);

    assert_eq!(code, Some(0));
    assert!(stdout.contains("got hush"));
}

#[test]
fn every_container_without_a_program_is_told() {
    let project = Project::new(json!([shell("app", ""), shell("other", "")]));
    let (code, _, stderr) = project.up(&[]);
    assert_eq!(code, Some(127));
    assert!(stderr.contains("--stub app") && stderr.contains("--skip app"));
    assert!(stderr.contains("--program app=FILE") && stderr.contains("--program other=FILE"));
}

#[test]
fn a_file_that_cannot_be_run_is_another_failure_than_none() {
    let project = Project::new(json!([shell("app", "")]));
    fs::write(project.0.path().join("text"), "no program").unwrap();
    let (code, _, stderr) = project.up(&["--program", "app=text"]);
    assert_eq!(code, Some(126), "{stderr}");
    assert!(stderr.contains("`text` is no program"), "{stderr}");
    let (code, _, stderr) = project.up(&["--program", "app=nothing"]);
    assert_eq!(code, Some(127), "{stderr}");
}

/// A component of others: no program here stands for it.
fn of_others(project: &Project, name: &str, word: &str) {
    let folder = project.0.path().join("assemblies/components").join(name);
    fs::create_dir_all(&folder).unwrap();
    let text = format!(
        "schema: 1\nname: {name}\nkind: sidecar\nsummary: Is not here\nimage: {name}:1\n\
         size: {{ cpu: 32, memory: 64 }}\ncontainer: {{}}\nlocal: {word}\n"
    );
    fs::write(folder.join("component.yaml"), text).unwrap();
}

#[test]
fn who_is_skipped_is_left_out_and_a_stub_only_sleeps() {
    let mut app = shell("app", "echo went on");
    app["dependsOn"] = json!([
        { "containerName": "agent", "condition": "HEALTHY" },
        { "containerName": "hop", "condition": "HEALTHY" },
    ]);

    let agent = json!({ "name": "agent", "image": "agent:1", "memory": 64, "essential": false,
        "healthCheck": { "command": ["CMD", "/agent", "health"] },
        "secrets": [{ "name": "KEY", "valueFrom": "nobody-knows" }] });
    let mut hop = agent.clone();

    (hop["name"], hop["image"]) = (json!("hop"), json!("hop:1"));
    let project = Project::new(json!([app, agent, hop]));
    of_others(&project, "agent", "skip");
    of_others(&project, "hop", "stub");

    let (code, stdout, stderr) = project.up(&AS_SHELL);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("| went on"), "{stdout}");
    assert!(stderr.contains("agent: left out here"), "{stderr}");
    assert!(stderr.contains("hop: only sleeps here"), "{stderr}");
}

#[test]
fn json_tells_logs_and_states_a_line_each() {
    let project = Project::new(json!([shell("app", "echo hello; exit 4")]));
    let (code, stdout, _) = project.up(&[AS_SHELL.as_slice(), &["--json"]].concat());
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

/// A definition with a role, and a container that asks the endpoint of its task and prints what it hears.
fn asks_with_a_role(path: &str) -> Project {
    let line = format!("curl -sS -m 5 \"{path}\"; echo; env");
    let mut definition = json!({ "family": "test", "containerDefinitions": [shell("app", &line)] });
    definition["taskRoleArn"] = "arn:aws:iam::111122223333:role/app".into();
    let project = Project::new(json!([]));
    fs::write(project.0.path().join("task.json"), definition.to_string()).unwrap();
    project
}

#[test]
fn a_task_that_no_service_runs_cannot_be_protected() {
    let project = asks_with_a_role("$ECS_AGENT_URI/task-protection/v1/state");
    let (_, stdout, stderr) = project.up(&AS_SHELL);
    assert!(stdout.contains("TASK_NOT_VALID"), "{stdout}{stderr}");
}

#[test]
fn the_region_of_the_variables_is_that_of_the_metadata() {
    let project = asks_with_a_role("$ECS_CONTAINER_METADATA_URI_V4/task");
    let (_, stdout, stderr) = project.up(&AS_SHELL);
    let words = [
        "| AWS_REGION=us-east-1\n",
        "| AWS_DEFAULT_REGION=us-east-1\n",
        "arn:aws:ecs:us-east-1:",
    ];
    for word in words {
        assert!(stdout.contains(word), "{word}\n{stdout}{stderr}");
    }
}

#[test]
fn who_has_a_role_hears_how_to_turn_credentials_on() {
    let own = asks_with_a_role("http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let (_, stdout, stderr) = own.up(&AS_SHELL);
    if stderr.contains("the network here is this machine's") {
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

    let of_the_machine = asks_with_a_role("$AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let (_, stdout, stderr) = of_the_machine.up(&[&AS_SHELL[..], &["--net", "host"]].concat());
    assert!(
        stdout.contains("credentials are off here"),
        "{stdout}{stderr}"
    );
    let without = Project::new(json!([shell("app", "env")]));
    let (_, stdout, _) = without.up(&AS_SHELL);
    assert!(!stdout.contains("AWS_CONTAINER_CREDENTIALS"), "{stdout}");
}

#[test]
fn a_task_has_one_name_in_its_metadata_its_events_and_its_file() {
    let project = asks_with_a_role("$ECS_CONTAINER_METADATA_URI_V4/task");
    let (_, stdout, stderr) = project.up(&[&AS_SHELL[..], &["--json", "--name", "one"]].concat());
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = lines.iter().filter_map(|line| line["line"].as_str());
    let mut said = said.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let asked = said.next_back().ok_or(stderr).unwrap();
    let arn = &asked["TaskARN"];

    assert!(lines.iter().all(|line| line["taskArn"] == *arn), "{stdout}");
    let kept = fs::read(project.0.path().join(".assemble/run/one/task.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let task = &kept["tasks"][0];

    assert_eq!(
        (&task["taskArn"], &task["runName"]),
        (arn, &json!("one")),
        "{task:#}"
    );
    assert_eq!(
        task["containers"][0]["containerArn"],
        asked["Containers"][0]["ContainerARN"]
    );
    assert!(task["createdAt"].is_f64() && task["stoppedAt"].is_f64());
}

#[test]
fn a_definition_with_nobody_to_run_is_told_what_is_wrong() {
    let nameless =
        json!([{ "image": "sh" }, shell("app", "exit 0"), { "name": "", "image": "hop" }]);
    for (containers, words) in [
        (json!([]), &["has no container"][..]),
        (
            json!([{ "name": "a", "image": "sh", "essential": false }]),
            &["no container is essential"],
        ),
        (
            nameless,
            &[
                "`/containerDefinitions/0` (image `sh`) has no name",
                "`/containerDefinitions/2` (image `hop`) has no name",
            ],
        ),
    ] {
        let (code, _, stderr) = Project::new(containers).up(&[]);
        assert_eq!(code, Some(125), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
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
    let mut child = project.started(&AS_SHELL);
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_second_interrupt_kills() {
    let line = "trap 'echo stopping' TERM; echo ready; while :; do sleep 0.01; done";
    let project = Project::new(json!([shell("app", line)]));
    let mut command = project.command(&AS_SHELL);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();

    assert!(lines.next().unwrap().unwrap().contains("ready"));
    interrupt(&child);
    assert!(lines.next().unwrap().unwrap().contains("stopping"));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(137));
}

#[test]
fn a_smoke_test_starts_and_stops() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let mut app = shell("app", line);

    // The shell may be told to stop before it has set its trap, and as PID 1 it would not hear of it.
    app["linuxParameters"] = json!({ "initProcessEnabled": true });
    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&[AS_SHELL.as_slice(), &["--until-ready"]].concat());
    assert_eq!(code, Some(0), "{stderr}");

    assert!(
        stderr.contains("UserInitiated: Task stopped: it was ready"),
        "{stderr}"
    );
}

#[test]
fn a_task_that_takes_too_long_is_stopped_with_124() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let project = Project::new(json!([shell("app", line)]));
    let (code, ..) = project.up(&[AS_SHELL.as_slice(), &["--timeout", "300ms"]].concat());
    assert_eq!(code, Some(124));
}

#[test]
fn on_this_machines_network_a_listener_is_kept_on_the_loopback_and_a_busy_port_is_told() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let mut app = shell("app", "echo \"$APP_LISTEN\"");
    app["environment"] = json!([{ "name": "APP_LISTEN", "value": format!("0.0.0.0:{port}") }]);

    let project = Project::new(json!([app]));
    let (code, _, stderr) = project.up(&[AS_SHELL.as_slice(), &["--net", "host"]].concat());
    assert_eq!(code, Some(125));
    assert!(
        stderr.contains(&format!("`app` wants 127.0.0.1:{port}")),
        "{stderr}"
    );
    drop(busy);
    let (code, stdout, _) = project.up(&[AS_SHELL.as_slice(), &["--net", "host"]].concat());

    assert_eq!(code, Some(0));
    assert!(stdout.contains(&format!("| 127.0.0.1:{port}")), "{stdout}");
}

#[test]
fn a_development_token_has_the_claims_that_were_asked_for() {
    let project = Project::new(json!([]));
    let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
    command.args([
        "dev-token",
        "--audience",
        "films",
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
        (&json!("films"), &json!("read"))
    );

    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 90);
    let keys = project.0.path().join(".assemble/dev/jwks.json");
    let keys: Value = serde_json::from_slice(&fs::read(keys).unwrap()).unwrap();
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);
}
