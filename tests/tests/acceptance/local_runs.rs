//! Assemblies that run locally with `assemble up`: started, requested, stopped.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use acceptance::{Network, Process, ProcessOutput, Project, binary, workspace};
use serde_json::Value;

/// Timeouts of waits; generous, because the host may be busy.
const READY: Duration = Duration::from_mins(3);
const END: Duration = Duration::from_mins(3);
const ANSWER: Duration = Duration::from_mins(3);
/// Bytes of a photo that are sent before the rest; less than a pipe holds.
const UPLOAD_START: usize = 20_000;
const PROGRAMS: &[&str] = &[
    "tls-proxy",
    "auth-filter",
    "coins",
    "thumbnail",
    "telemetry-forwarder",
];

#[test]
fn coins_secure_answers_only_the_printed_command() {
    let run = RunningAssembly::start("coins-secure", &[]);

    let counted = run.json(&run.printed_command());
    assert_eq!(counted["currency"], "EUR", "{counted}");
    assert!(
        counted["total"]["minor"]
            .as_u64()
            .is_some_and(|total| total > 0),
        "{counted}"
    );

    assert!(
        !counted["coins"].as_array().expect("a list").is_empty(),
        "{counted}"
    );

    // The token becomes an unknown header.
    let without_token = run
        .printed_command()
        .replace("Authorization: Bearer", "X-Nothing:");
    assert_eq!(run.status_of(&without_token), "401");

    let over_http = run.shell(&run.printed_command().replace("https://", "http://"));
    assert_ne!(
        over_http.code,
        0,
        "plain HTTP was answered: {}",
        over_http.output()
    );
    let other_ca = run
        .printed_command()
        .replace(".assemble/dev/ca.pem", &run.another_ca());
    let output = run.shell(&other_ca);

    assert_eq!(
        output.code, 60,
        "curl's code for a certificate that it cannot verify"
    );
    run.stop();
}

#[test]
fn one_trace_links_proxy_filter_and_app_at_the_users_endpoint() {
    let network = Network::new();
    let project = Project::new();
    let sink = OtlpSink::start(&network, &project);
    let run = RunningAssembly::start_in(
        network,
        project,
        "coins-secure",
        &["--value", OtlpSink::VALUE],
    );

    let answer = run.shell(&run.printed_command());
    assert_eq!(answer.code, 0, "{}", answer.output());
    let project = run.stop().1;

    let spans = sink.spans_after_stop(&project);
    let expected = ["auth-filter", "coins", "tls-proxy"];
    // One trace of the app contains spans of every hop, and each span's parent is in it.
    let linked = spans
        .iter()
        .filter(|span| span.service == "coins")
        .any(|span| {
            let trace = spans.iter().filter(|other| other.trace == span.trace);
            let services: Vec<&str> = trace.map(|other| other.service.as_str()).collect();
            expected.iter().all(|service| services.contains(service))
                && span.has_chain_to_root(&spans)
        });
    assert!(linked, "no trace spans {expected:?}: {spans:#?}");
}

#[test]
fn a_stop_goes_in_reverse_order_and_finishes_the_request_in_flight() {
    let mut run = RunningAssembly::start("coins-secure", &[]);
    let upload = run.start_upload("");
    run.up.signal("INT");
    // The proxy has begun its drain, so the rest of the body arrives during the stop.
    run.up.wait_for(r#""message":"stopping""#, END);
    let upload = upload.send_rest();

    let (finished, project) = run.wait_for_stop();
    let order = stop_order(&finished.output());
    assert_eq!(
        order,
        ["tls-proxy", "auth-filter", "coins", "telemetry-forwarder"],
        "{finished:?}"
    );

    let answer = upload.wait_for_exit(ANSWER);
    let counted: Value = serde_json::from_str(&answer.stdout).expect("the request was finished");
    assert!(
        counted["total"]["minor"]
            .as_u64()
            .is_some_and(|total| total > 0),
        "{counted}"
    );

    let telemetry = fs::read_to_string(project.root().join(".assemble/telemetry.jsonl"));
    let requests = telemetry.expect("telemetry was flushed");
    let requests = requests
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"));
    let spans: Vec<Span> = requests
        .flat_map(|request: Value| Span::all_in(&request))
        .collect();

    assert!(
        spans.iter().any(|span| span.service == "tls-proxy"),
        "{spans:?}"
    );
}

/// The app is killed with a request in flight.
#[test]
fn a_killed_app_answers_502_and_ends_its_task() {
    let run = RunningAssembly::start("coins-secure", &[]);
    let upload = run.start_upload("--output /dev/null --write-out '%{http_code} %{exitcode}'");
    let (id, _) = run.app_process().expect("the app runs");
    assert_eq!(run.shell(&format!("kill -9 {id}")).code, 0);

    // The body never ends, so a response is sent because the app is gone.
    let output = upload.trickle_until_exit().stdout;
    assert!(output.starts_with("502 "), "{output}");

    // 128 + SIGKILL.
    let finished = run.up.wait_for_exit(END);
    assert_eq!(finished.code, 137, "{}", finished.output());
    let order = stop_order(&finished.output());
    let expected = ["coins", "tls-proxy", "auth-filter", "telemetry-forwarder"];

    assert_eq!(
        order, expected,
        "the app, then the proxies that depend on it, then the telemetry that it depends on"
    );
    let remaining = run.network.running_programs(PROGRAMS);
    assert!(remaining.is_empty(), "left running: {remaining:?}");
}

/// A stop while clients send one request after the other, each on a new connection.
#[test]
fn a_stop_under_load_fails_no_accepted_request() {
    let run = RunningAssembly::start("coins-secure", &[]);
    let (command, _) = run.command_and_token();

    // curl's exit code 7: nothing listens any more; 35: the connection opens, but the TLS handshake fails.
    let load = format!(
        "while :; do {command} --silent --output /dev/null --write-out '%{{http_code}} %{{exitcode}}\\n'; \
         case $? in 7|35) exit;; esac; done"
    );
    let mut clients = [run.start_shell(&load), run.start_shell(&load)];

    for client in &mut clients {
        client.wait_for("200 0", ANSWER);
    }
    run.stop();

    for client in clients {
        let output = client.wait_for_exit(ANSWER).stdout;
        let bad = output
            .lines()
            .find(|line| !matches!(*line, "200 0" | "000 7" | "000 35"));
        assert_eq!(bad, None, "{output}");
    }
}

#[test]
fn no_log_contains_a_token_or_key_even_at_trace() {
    let trace = [
        "--env",
        "tls-proxy:TLS_PROXY_LOG=trace",
        "--env",
        "auth-filter:AUTH_FILTER_LOG=trace",
    ];

    let run = RunningAssembly::start("coins-secure", &trace);
    let (with_token, token) = run.command_and_token();
    assert!(token.len() > 100, "{token}");
    assert!(run.json(&with_token)["total"]["minor"].is_u64());

    let (finished, project) = run.stop();
    let output = finished.output();
    assert!(
        output.contains("\"level\":\"trace\""),
        "nothing was logged at trace"
    );

    // The signature is the secret part: without it the rest of the token is worthless.
    // The signature is the part of a token that must stay secret.
    let signature = token.rsplit('.').next().expect("three parts");
    assert!(!output.contains(signature), "the token was printed");
    let pem = fs::read_to_string(project.root().join(".assemble/dev/tls.pem")).expect("readable");
    // Line by line, because a log may contain only a part of the key.
    let (_, key) = pem.split_once("PRIVATE KEY-----").expect("a key");

    for line in key
        .lines()
        .filter(|line| line.len() > 20 && !line.starts_with('-'))
    {
        assert!(!output.contains(line), "the key was printed");
    }
}

#[test]
fn a_thumbnail_task_exits_with_the_apps_code() {
    let (network, project) = (Network::new(), Project::new());
    let video = test_video(&project.root().join("video.mp4"));
    let picture = project.root().join("video.jpg");
    let mut command = project.assemble(&network);

    command
        .args(["up", "thumbnail-on-demand"])
        .args(on_demand(&video, &picture));

    let finished = Process::finish(command, END);
    assert_eq!(finished.code, 0, "{}", finished.output());
    let bytes = fs::read(&picture).expect("the thumbnail was written");
    assert_eq!(bytes[..3], [0xff, 0xd8, 0xff], "it is a JPEG");
    assert_eq!(
        stop_order(&finished.output()),
        ["thumbnail", "telemetry-forwarder"]
    );

    let telemetry = fs::read_to_string(project.root().join(".assemble/telemetry.jsonl"));
    let telemetry = telemetry.expect("telemetry was flushed before its sidecar went");
    assert!(telemetry.contains("thumbnail"), "{telemetry}");
}

#[test]
fn a_thumbnail_task_exits_21_if_the_input_is_not_a_video() {
    let (network, project) = (Network::new(), Project::new());
    let garbage = project.root().join("video.mp4");
    fs::write(&garbage, "<html>not a video</html>".repeat(100)).expect("writable");

    let picture = project.root().join("video.jpg");
    let mut command = project.assemble(&network);
    command
        .args(["up", "thumbnail-on-demand"])
        .args(on_demand(&garbage, &picture));

    let finished = Process::finish(command, END);
    assert_eq!(
        finished.code,
        21,
        "21 is `not media`: {}",
        finished.output()
    );
    assert!(!picture.exists());
}

#[test]
fn coins_in_video_counts_the_coins_in_a_video() {
    let project = Project::new();
    let video = video_of(&sample(), &project.root().join("coins.mp4"));
    let run = RunningAssembly::start_in(Network::new(), project, "coins-in-video", &[]);
    let command = run.printed_command();
    let of_photo: Value = run.json(&with_body(&command, &sample(), "image/jpeg"));
    let of_video: Value = run.json(&with_body(&command, &video, "video/mp4"));
    let total = of_photo["total"]["minor"].as_u64();

    assert!(total.is_some_and(|total| total > 0), "{of_photo}");
    assert_eq!(of_video["total"]["minor"].as_u64(), total, "{of_video}");
    // A proxy stops before the app it forwards to, and the telemetry last.
    let order = stop_order(&run.stop().0.output());
    let expected = [
        "tls-proxy",
        "auth-filter",
        "coins",
        "thumbnail",
        "telemetry-forwarder",
    ];
    assert_eq!(order, expected);
}

/// An assembly that runs under `assemble up` in a temporary project.
struct RunningAssembly {
    network: Network,
    project: Project,
    up: Process,
}

impl RunningAssembly {
    fn start(assembly: &str, arguments: &[&str]) -> Self {
        Self::start_in(Network::new(), Project::new(), assembly, arguments)
    }

    fn start_in(network: Network, project: Project, assembly: &str, arguments: &[&str]) -> Self {
        let mut command = project.assemble(&network);
        command.args(["up", assembly]).args(arguments);
        let mut up = Process::start(command);
        up.wait_for("curl ", READY);
        Self {
            network,
            project,
            up,
        }
    }

    /// Returns the command that `up` printed, with its continued lines joined.
    fn printed_command(&self) -> String {
        let output = format!("{}\n{}", self.up.stdout(), self.up.stderr());
        let start = output
            .find("curl ")
            .expect("printed, since `start` waited for it");
        let mut command = String::new();

        for line in output[start..].lines() {
            let (text, goes_on) = line.strip_suffix('\\').map_or((line, false), |t| (t, true));
            command.push_str(text.trim());
            command.push(' ');
            if !goes_on {
                break;
            }
        }

        command
    }

    /// Returns the printed command with a literal token instead of the command substitution, and the token.
    fn command_and_token(&self) -> (String, String) {
        let output = self.shell("$ASSEMBLE dev-token --audience coins").stdout;
        let token = output.trim().to_owned();
        let command = self.printed_command();
        let start = command.find("$(").expect("a token");
        let end = start + command[start..].find(')').expect("its end") + 1;
        let command = format!("{}{token}{}", &command[..start], &command[end..]);
        (command, token)
    }

    /// Starts the printed command with only a part of its body, and waits until the app has a
    /// connection: from then on the request is in flight at every hop.
    fn start_upload(&self, arguments: &str) -> Upload {
        let pipe = self.project.root().join("body");
        let made = self.shell("mkfifo body");
        assert_eq!(made.code, 0, "{}", made.output());

        // Opened for both, so that neither this nor the client's open blocks, and the body does not end.
        let mut body = File::options()
            .read(true)
            .write(true)
            .open(&pipe)
            .expect("a pipe");
        let mut photo = fs::read(sample()).expect("readable");
        let rest = photo.split_off(UPLOAD_START);
        body.write_all(&photo).expect("fits into the pipe");

        // `--upload-file .` reads the standard input without blocking.
        let command = self.printed_command();
        let file = body_argument(&command);
        let command = command.replace(
            &format!("--data-binary {file}"),
            "--upload-file . --request POST",
        );
        let limit = ANSWER.as_secs();
        let mut client = self.start_shell(&format!(
            "{command} --silent --max-time {limit} {arguments} <body"
        ));
        acceptance::wait_until(ANSWER, || {
            self.app_has_a_connection() || !client.is_running()
        });
        assert!(
            client.is_running() && self.app_has_a_connection(),
            "the upload did not reach the app: {} {}",
            client.stdout(),
            client.stderr()
        );

        Upload {
            client,
            pipe,
            body,
            rest,
        }
    }

    /// Returns the process id of the app and the address it listens on.
    fn app_process(&self) -> Option<(u32, SocketAddr)> {
        // In a shell, because only a process inside the namespaces may read the environment of another.
        let found = self.shell(
            "for p in /proc/[0-9]*; do \
               if [ \"$(cat $p/comm)\" = coins ] && [ \"$(readlink $p/cwd)\" = \"$PWD\" ] \
                 && tr '\\0' '\\n' <$p/environ | grep -q '^ECS_CONTAINER_METADATA_URI_V4'; then \
                 echo ${p#/proc/} $(tr '\\0' '\\n' <$p/environ | sed -n 's/^COINS_LISTEN=//p'); fi; done 2>/dev/null",
        );
        let (id, address) = found.stdout.trim().split_once(' ')?;
        Some((id.parse().ok()?, address.parse().ok()?))
    }

    /// Returns whether the app has an established connection: before the first request, none of the
    /// proxies keeps one open.
    fn app_has_a_connection(&self) -> bool {
        const ESTABLISHED: &str = "01";

        let Some((id, address)) = self.app_process() else {
            return false;
        };
        let port = format!(":{:04X}", address.port());
        self.shell(&format!("cat /proc/{id}/net/tcp"))
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .any(|fields| {
                // proc_net_tcp: the second field is the local address, the fourth the state.
                fields.get(1).is_some_and(|local| local.ends_with(&port))
                    && fields.get(3) == Some(&ESTABLISHED)
            })
    }

    /// Starts a shell command in the project's folder.
    fn start_shell(&self, line: &str) -> Process {
        let mut command = self.network.command("sh");
        command.args(["-c", line]).current_dir(self.project.root());
        Process::start(command)
    }

    /// Runs a shell command in the project's folder.
    fn shell(&self, line: &str) -> ProcessOutput {
        let mut command = self.network.command("sh");
        command.args(["-c", line]).current_dir(self.project.root());
        command.env("ASSEMBLE", binary("assemble"));
        Process::finish(command, ANSWER)
    }

    fn json(&self, line: &str) -> Value {
        let finished = self.shell(line);
        serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{}", finished.output()))
    }

    fn status_of(&self, command: &str) -> String {
        let quiet = format!("{command} --silent --output /dev/null --write-out '%{{http_code}}'");
        self.shell(&quiet).stdout.trim().to_owned()
    }

    /// Generates a certificate authority that has signed nothing in this project.
    fn another_ca(&self) -> String {
        let path = self.project.root().join("other-ca.pem");
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ]);

        command
            .args([
                "-nodes",
                "-subj",
                "/CN=other",
                "-keyout",
                "/dev/null",
                "-out",
            ])
            .arg(&path);

        let finished = Process::finish(command, ANSWER);
        assert_eq!(finished.code, 0, "{}", finished.output());
        path.display().to_string()
    }

    /// Sends SIGINT (Ctrl-C) and waits until everything has ended with exit code 0.
    fn stop(self) -> (ProcessOutput, Project) {
        self.up.signal("INT");
        self.wait_for_stop()
    }

    /// Waits for the exit code 0, and checks that no process is left.
    fn wait_for_stop(self) -> (ProcessOutput, Project) {
        let finished = self.up.wait_for_exit(END);
        assert_eq!(finished.code, 0, "{}", finished.output());
        let remaining = self.network.running_programs(PROGRAMS);
        assert!(remaining.is_empty(), "left running: {remaining:?}");
        (finished, self.project)
    }
}

/// A request in flight, with the rest of its body still to be sent.
struct Upload {
    client: Process,
    pipe: PathBuf,
    body: File,
    rest: Vec<u8>,
}

impl Upload {
    /// Keeps the body going until the client exits.
    fn trickle_until_exit(mut self) -> ProcessOutput {
        // curl 7.88 looks for an early response only when it has something to send.
        acceptance::wait_until(ANSWER, || {
            self.body.write_all(b"x").expect("the pipe is open");
            !self.client.is_running()
        });
        self.client.wait_for_exit(ANSWER)
    }

    /// Sends the rest of the body and its end, and returns the client.
    fn send_rest(self) -> Process {
        let Self {
            client,
            pipe,
            body,
            rest,
        } = self;

        // For writing only: dropping it ends the body, and writing fails if the client is gone.
        let mut end = File::options().write(true).open(pipe).expect("a pipe");
        drop(body);
        end.write_all(&rest).expect("the client reads the body");
        client
    }
}

/// Returns the argument `@FILE` of the printed command.
fn body_argument(command: &str) -> &str {
    command
        .split_whitespace()
        .find(|word| word.starts_with('@'))
        .expect("a body")
}

/// Returns the printed command with another file as its body.
fn with_body(command: &str, file: &Path, content_type: &str) -> String {
    command
        .replace(body_argument(command), &format!("@{}", file.display()))
        .replace("image/jpeg", content_type)
}

/// The user's OTLP endpoint: a telemetry-forwarder that writes to a file.
struct OtlpSink(Process);

impl OtlpSink {
    const VALUE: &str = "otlp=http://127.0.0.1:14318";
    const FILE: &str = "users-endpoint.jsonl";

    fn start(network: &Network, project: &Project) -> Self {
        // Under another name, so that it is not mistaken for a remaining process of the run.
        let program = project.root().join("users-endpoint");
        std::os::unix::fs::symlink(binary("telemetry-forwarder"), &program).expect("writable");
        let mut command = network.command(program);
        command
            .current_dir(project.root())
            .env("TELEMETRY_FORWARDER_LISTEN", "127.0.0.1:14318")
            .env("TELEMETRY_FORWARDER_LISTEN_GRPC", "127.0.0.1:14317")
            .env("TELEMETRY_FORWARDER_ADMIN", "127.0.0.1:19903")
            .env(
                "TELEMETRY_FORWARDER_ENDPOINT",
                format!("file:{}", Self::FILE),
            );

        let mut process = Process::start(command);
        process.wait_for("starting", READY);
        Self(process)
    }

    fn spans_after_stop(self, project: &Project) -> Vec<Span> {
        self.0.signal("TERM");
        let finished = self.0.wait_for_exit(END);
        assert_eq!(finished.code, 0, "{}", finished.output());
        let text = fs::read_to_string(project.root().join(Self::FILE)).expect("something arrived");
        let requests = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("a JSON line"));
        requests
            .flat_map(|request: Value| Span::all_in(&request))
            .collect()
    }
}

#[derive(Debug)]
struct Span {
    service: String,
    trace: String,
    id: String,
    parent: String,
}

impl Span {
    fn all_in(request: &Value) -> Vec<Self> {
        let mut spans = Vec::new();
        for resource in list(request, "resourceSpans") {
            let attributes = list(&resource["resource"], "attributes");
            let service = attributes
                .iter()
                .find(|attribute| attribute["key"] == "service.name");
            let service = service
                .map(|it| text(&it["value"], "stringValue"))
                .unwrap_or_default();

            for span in list(resource, "scopeSpans")
                .iter()
                .flat_map(|scope| list(scope, "spans"))
            {
                spans.push(Self {
                    service: service.clone(),
                    trace: text(span, "traceId"),
                    id: text(span, "spanId"),
                    parent: text(span, "parentSpanId"),
                });
            }
        }

        spans
    }

    /// Returns whether every parent up to the root is among the spans, so that no hop lost its link.
    fn has_chain_to_root(&self, spans: &[Self]) -> bool {
        let mut parent = self.parent.clone();
        for _ in 0..spans.len() {
            // The root span has no parent.
            if parent.is_empty() {
                return true;
            }
            let Some(span) = spans.iter().find(|it| it.id == parent) else {
                return false;
            };
            parent.clone_from(&span.parent);
        }

        false
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Returns the containers in the order in which `up` reported their exit: `7.984 coins ○ exited 0`.
fn stop_order(output: &str) -> Vec<String> {
    let words = output
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ended = words.filter(|words| words.get(3) == Some(&"exited"));
    ended.map(|words| words[1].to_owned()).collect()
}

fn on_demand(input: &Path, output: &Path) -> [String; 4] {
    let setting =
        |name: &str, path: &Path| format!("thumbnail:THUMBNAIL_{name}={}", path.display());
    [
        "--env".into(),
        setting("INPUT", input),
        "--env".into(),
        setting("OUTPUT", output),
    ]
}

fn sample() -> PathBuf {
    let samples = fs::read_dir(workspace().join("apps/coins/samples")).expect("samples");
    let photos = samples.map(|entry| entry.expect("readable").path());
    let mut photos: Vec<PathBuf> = photos
        .filter(|path| path.extension() == Some("jpg".as_ref()))
        .collect();
    photos.sort();
    photos.first().expect("a sample photo").clone()
}

/// Encodes four seconds of a test picture.
pub(crate) fn test_video(path: &Path) -> PathBuf {
    ffmpeg(
        &[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=640x360:rate=25:duration=4",
        ],
        path,
    )
}

/// Encodes a second of video that shows only the photo.
fn video_of(photo: &Path, path: &Path) -> PathBuf {
    let photo = photo.display().to_string();
    // MPEG-4 with 4:2:0 chroma needs even dimensions.
    let even = "scale=trunc(iw/2)*2:trunc(ih/2)*2";
    ffmpeg(
        &[
            "-loop", "1", "-i", &photo, "-t", "1", "-r", "10", "-vf", even, "-q:v", "2",
        ],
        path,
    )
}

fn ffmpeg(arguments: &[&str], path: &Path) -> PathBuf {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments);
    command
        .args(["-pix_fmt", "yuv420p", "-c:v", "mpeg4"])
        .arg(path);
    let finished = Process::finish(command, ANSWER);
    assert_eq!(finished.code, 0, "{}", finished.output());
    path.to_owned()
}
