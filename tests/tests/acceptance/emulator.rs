//! Unchanged AWS clients against `assemble emulate`, whose tasks run the real programs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use acceptance::{Emulator, Process, ProcessOutput, report_skip, wait_until, workspace};
use serde_json::{Value, json};

use crate::local_runs::test_video;

// Every wait ends as soon as its condition holds, so a long limit costs nothing.
const LIMIT: Duration = Duration::from_mins(8);
const NETWORK: &str = "awsvpcConfiguration={subnets=[subnet-1]}";
/// The containers of the clients' task definitions: `app` listens, `exits` ends with code 3.
const CONTAINERS: &[&str] = &[
    "--stub",
    "app=http-200:8080",
    "--program",
    "exits=exits",
    "--time-scale",
    "60",
];

#[test]
fn boto3_works_unchanged_and_every_answer_fits_the_model() {
    let emulator = Emulator::start(CONTAINERS);
    write_program(&emulator, "exits", "#!/bin/sh\nexit 3\n");
    let (finished, checked) = run_checked(&emulator, emulator.python("clients/ecs.py"));
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert_eq!(checked.code, 0, "{}", checked.output());

    // Guards against a client that skips a part.
    for operation in [
        "RunTask",
        "UpdateService",
        "ContinueServiceDeployment",
        "GetCallerIdentity",
    ] {
        assert!(checked.stdout.contains(operation), "{}", checked.output());
    }
}

#[test]
fn the_aws_cli_works_unchanged_and_every_answer_fits_the_model() {
    let emulator = Emulator::start(CONTAINERS);
    let mut command = emulator.client(workspace().join("tests/clients/ecs.sh"));
    command.env("PYTHON", workspace().join(".venv/bin/python"));
    let (finished, checked) = run_checked(&emulator, command);
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert_eq!(checked.code, 0, "{}", checked.output());
}

#[test]
fn the_javascript_sdk_works_unchanged_and_every_answer_fits_the_model() {
    if !workspace().join("tests/clients/node_modules").exists() {
        report_skip(
            "the JavaScript SDK",
            "not installed: `make setup` needs Node.js 20 with npm",
        );
        return;
    }
    let emulator = Emulator::start(CONTAINERS);
    let mut command = emulator.client("node");
    command.arg(workspace().join("tests/clients/ecs.mjs"));
    let (finished, checked) = run_checked(&emulator, command);
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert_eq!(checked.code, 0, "{}", checked.output());
}

#[test]
fn boto3_recognizes_every_fault() {
    // Each rule once, in this order; afterwards every call is denied.
    const ONCE: [&str; 7] = [
        "throttle-400",
        "throttle-429",
        "throttle-in-exception",
        "server-error",
        "unavailable",
        "cut",
        "cut-after",
    ];
    let once = ONCE.map(|kind| format!("  - {{ operation: '*', kind: {kind}, count: 1 }}\n"));
    let rules = format!(
        "rules:\n{}  - {{ operation: '*', kind: access-denied }}\n",
        once.concat()
    );
    let folder = tempfile::tempdir().expect("writable");
    let file = folder.path().join("faults.yaml");
    fs::write(&file, rules).expect("writable");

    let emulator = Emulator::start(&["--faults", &file.display().to_string()]);
    let mut command = emulator.python("clients/ecs.py");
    command.arg("faults");
    let (finished, checked) = run_checked(&emulator, command);
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert_eq!(checked.code, 0, "{}", checked.output());
}

/// Without this test, an oracle that finds nothing would prove nothing.
#[test]
fn the_oracle_rejects_an_answer_that_does_not_fit_the_model() {
    let emulator = Emulator::start(&[]);
    let server = "import http.server as h\n\
        class A(h.BaseHTTPRequestHandler):\n  \
        def do_POST(s):\n    \
        s.rfile.read(int(s.headers['content-length']))\n    \
        b = b'{\"clusterArns\": [1], \"more\": true}'\n    \
        s.send_response(200); s.send_header('content-type', 'application/x-amz-json-1.1')\n    \
        s.send_header('content-length', str(len(b))); s.end_headers(); s.wfile.write(b)\n\
        s = h.HTTPServer(('127.0.0.1', 0), A)\nprint(f'http://127.0.0.1:{s.server_port}', flush=True)\ns.serve_forever()";
    let mut command = emulator.client(workspace().join(".venv/bin/python"));
    command.args(["-c", server]);
    let wrong = Process::start(command);
    let mut client = emulator.client("curl");
    client.args([
        "-sS",
        "--data",
        "{}",
        "-H",
        "X-Amz-Target: AmazonEC2ContainerServiceV20141113.ListClusters",
    ]);

    let oracle = start_oracle(&emulator, &first_line(&wrong));
    client.arg(first_line(&oracle));
    assert_eq!(Process::finish(client, LIMIT).code, 0);
    oracle.signal("TERM");
    let checked = oracle.wait_for_exit(LIMIT);
    assert_eq!(checked.code, 1, "{}", checked.output());
    for fault in [
        "clusterArns[]: 1 is no string",
        "more: is unknown",
        "x-amzn-requestid",
    ] {
        assert!(checked.stdout.contains(fault), "{}", checked.output());
    }
}

#[test]
fn coins_secure_answers_over_https_as_a_task() {
    let emulator = Emulator::start(&[]);
    register(&emulator, "coins-secure");
    let task = run_task(&emulator, "coins-secure");

    let mut status = String::new();
    let answered = wait_until(LIMIT, || {
        status = https_status(&emulator, &task).unwrap_or_default();
        !status.is_empty() && status != "000"
    });
    // 401: the filter is there, and wants a token.
    assert!(answered && status == "401", "{status}: {task}");

    let (finished, network) = emulator.stop();
    assert_eq!(finished.code, 0, "{}", finished.output());
    let left =
        network.running_programs(&["tls-proxy", "auth-filter", "coins", "telemetry-forwarder"]);
    assert!(left.is_empty(), "left running: {left:?}");
}

/// The original workshop: each upload starts a task that makes the picture.
#[test]
fn each_upload_starts_a_task_that_makes_its_picture() {
    let emulator = Emulator::start(&[]);
    register(&emulator, "thumbnail-on-demand");
    let folder = emulator.project.root().join("uploads");
    fs::create_dir(&folder).expect("writable");
    let mut command = emulator.python("clients/uploads.py");
    command.arg(&folder);
    let application = Process::start(command);
    let address = first_line(&application);

    let video = test_video(&emulator.project.root().join("source.mp4"));
    let names = ["one", "two", "three"];
    let tasks: Vec<String> = names
        .iter()
        .map(|name| upload(&emulator, &video, &format!("{address}/{name}.mp4")))
        .collect();
    // The same name is the same token, so a repeated upload starts nothing.
    let again = upload(&emulator, &video, &format!("{address}/one.mp4"));
    assert_eq!(again, tasks[0]);

    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let described = wait_for_stop(&emulator, &tasks);
    assert_eq!(described.len(), names.len(), "{described:?}");
    for (task, name) in described.iter().zip(names) {
        let containers = task["containers"].as_array().expect("a list");
        let of_app = containers.iter().find(|own| own["name"] == "thumbnail");
        assert_eq!(of_app.expect("the app")["exitCode"], 0, "{task:#}");
        let bytes = fs::read(folder.join(format!("{name}.jpg"))).expect("the picture was made");
        assert_eq!(bytes[..3], [0xff, 0xd8, 0xff], "{name} is no JPEG");
    }
}

/// A worker protects itself while it works, through the endpoint in its task.
#[test]
fn a_task_of_a_service_protects_itself() {
    const PROTECT: &str = r#"curl -sS -X PUT -d '{"ProtectionEnabled": true, "ExpiresInMinutes": 60}' "$ECS_AGENT_URI/task-protection/v1/state"; exec sleep 600"#;
    let emulator = Emulator::start(&["--program", "worker=/bin/sh"]);
    let container = json!({ "name": "worker", "image": "sh", "entryPoint": ["/bin/sh"], "stopTimeout": 2,
        "command": ["-c", PROTECT] });
    let definition = json!({ "family": "worker", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container],
        "taskRoleArn": "arn:aws:iam::000000000000:role/worker" });
    // The whole definition: a shorthand of the CLI has no role.
    let input = definition.to_string();
    emulator.call(&["register-task-definition", "--cli-input-json", &input]);
    let service = [
        &[
            "create-service",
            "--service-name",
            "worker",
            "--task-definition",
            "worker",
            "--desired-count",
            "1",
        ][..],
        &[
            "--launch-type",
            "FARGATE",
            "--network-configuration",
            NETWORK,
        ],
    ];
    emulator.call(&service.concat());

    let mut protected = Value::Null;
    let is_protected = wait_until(LIMIT, || {
        protected = emulator.call(&["get-task-protection", "--cluster", "default"]);
        protected["protectedTasks"][0]["protectionEnabled"] == true
    });
    assert!(is_protected, "{protected}");

    // Scaling in leaves it alone.
    emulator.call(&[
        "update-service",
        "--service",
        "worker",
        "--desired-count",
        "0",
    ]);
    let task = protected["protectedTasks"][0]["taskArn"].as_str();
    let task = task.expect("an ARN");
    let described = emulator.call(&["describe-tasks", "--tasks", task]);
    assert_eq!(
        described["tasks"][0]["desiredStatus"], "RUNNING",
        "{described}"
    );
    let protection = [
        "update-task-protection",
        "--cluster",
        "default",
        "--no-protection-enabled",
        "--tasks",
        task,
    ];
    emulator.call(&protection);
    let stopped = wait_for_stop(&emulator, &[task]);
    assert_eq!(
        stopped[0]["stopCode"], "ServiceSchedulerInitiated",
        "{stopped:?}"
    );
}

/// Uploads a video; returns the ARN of the task that was started for it.
fn upload(emulator: &Emulator, video: &Path, url: &str) -> String {
    let mut command = emulator.client("curl");
    command
        .args(["-sS", "--fail", "--upload-file"])
        .arg(video)
        .arg(url);
    let uploaded = Process::finish(command, LIMIT);
    assert!(
        uploaded.stdout.contains(":task/default/"),
        "{}",
        uploaded.output()
    );
    uploaded.stdout
}

/// Waits until tasks have stopped, and returns them.
fn wait_for_stop(emulator: &Emulator, tasks: &[&str]) -> Vec<Value> {
    let mut described = Value::Null;
    wait_until(LIMIT, || {
        described = emulator.call(&[&["describe-tasks", "--tasks"], tasks].concat());
        let mut all = described["tasks"].as_array().into_iter().flatten();
        all.all(|task| task["lastStatus"] == "STOPPED")
    });
    described["tasks"].as_array().expect("a list").clone()
}

/// Runs a client against an oracle in front of the emulator. Returns both outputs.
fn run_checked(emulator: &Emulator, mut client: Command) -> (ProcessOutput, ProcessOutput) {
    let oracle = start_oracle(emulator, emulator.endpoint());
    let checked = first_line(&oracle);
    for name in ["ECS", "STS", "APPLICATION_AUTO_SCALING"] {
        client.env(format!("AWS_ENDPOINT_URL_{name}"), &checked);
    }
    let finished = Process::finish(client, LIMIT);
    // It reports at its end.
    oracle.signal("TERM");
    (finished, oracle.wait_for_exit(LIMIT))
}

fn start_oracle(emulator: &Emulator, endpoint: &str) -> Process {
    let mut command = emulator.python("oracles/ecs_answers.py");
    command.arg(endpoint);
    Process::start(command)
}

/// Waits for the first line of a process, its address.
fn first_line(process: &Process) -> String {
    wait_until(LIMIT, || process.stdout().contains('\n'));
    let stdout = process.stdout();
    let line = stdout.lines().next().map(str::to_owned);
    line.unwrap_or_else(|| panic!("no address: {}", process.stderr()))
}

fn register(emulator: &Emulator, assembly: &str) {
    let arguments = ["register", assembly, "--values", "local"];
    let registered = Process::finish(emulator.assemble(&arguments), LIMIT);
    assert_eq!(registered.code, 0, "{}", registered.output());
}

fn run_task(emulator: &Emulator, definition: &str) -> String {
    let started = emulator.call(&[
        "run-task",
        "--task-definition",
        definition,
        "--launch-type",
        "FARGATE",
        "--network-configuration",
        NETWORK,
    ]);
    let arn = started["tasks"][0]["taskArn"].as_str();
    arn.unwrap_or_else(|| panic!("{started}")).to_owned()
}

/// Sends a request to the port 8443 of a task, and returns the status; `None` if no port is published yet.
fn https_status(emulator: &Emulator, task: &str) -> Option<String> {
    let described = emulator.call(&["describe-tasks", "--tasks", task]);
    let containers = described["tasks"][0]["containers"].as_array()?;
    let mut bindings = containers
        .iter()
        .filter_map(|container| container["networkBindings"].as_array())
        .flatten();
    let binding = bindings.find(|binding| binding["containerPort"] == 8443)?;

    // The development certificate is for localhost, and each task has an address of its own.
    let target = format!(
        "localhost:8443:{}:{}",
        binding["bindIP"].as_str()?,
        binding["hostPort"]
    );
    let mut command = emulator.client("curl");
    command.args([
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
    ]);
    command.args([
        "--cacert",
        ".assemble/dev/ca.pem",
        "--connect-to",
        &target,
        "https://localhost:8443/",
    ]);
    Some(Process::finish(command, LIMIT).stdout)
}

fn write_program(emulator: &Emulator, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = emulator.project.root().join(name);
    fs::write(&path, text).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its owner");
}
