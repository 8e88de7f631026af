//! The rides a new user takes: an assembly runs here, is asked something, and is stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use acceptance::{Finished, Network, Process, Project, binary, workspace};
use serde_json::Value;

const READY: Duration = Duration::from_mins(1);
const END: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_mins(1);
const PROGRAMS: &[&str] = &[
    "tls-proxy",
    "auth-filter",
    "coins",
    "thumbnail",
    "telemetry-forwarder",
];

#[test]
fn coins_secure_answers_the_printed_command_and_nothing_else() {
    let ride = Ride::start("coins-secure", &[]);

    let counted = ride.json(&ride.printed_command());
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

    let without_token = ride
        .printed_command()
        .replace("Authorization: Bearer", "X-Nothing:");
    assert_eq!(ride.status_of(&without_token), "401");

    let plain = ride.shell(&ride.printed_command().replace("https://", "http://"));
    assert_ne!(plain.code, 0, "plain HTTP was answered: {}", plain.output());
    let other_ca = ride
        .printed_command()
        .replace(".assemble/dev/ca.pem", &ride.another_ca());
    let refused = ride.shell(&other_ca);

    assert_eq!(
        refused.code, 60,
        "curl's code for a certificate it cannot verify"
    );
    ride.stop();
}

#[test]
fn one_trace_spans_proxy_filter_and_app_and_arrives_at_the_users_endpoint() {
    let network = Network::new();
    let project = Project::new();
    let sink = OtlpSink::start(&network, &project);
    let ride = Ride::start_in(
        network,
        project,
        "coins-secure",
        &["--value", OtlpSink::VALUE],
    );

    let answer = ride.shell(&ride.printed_command());
    assert_eq!(answer.code, 0, "{}", answer.output());
    let project = ride.stop().1;

    let spans = sink.spans_after_stop(&project);
    let wanted = ["auth-filter", "coins", "tls-proxy"];
    let linked = spans
        .iter()
        .filter(|span| span.service == "coins")
        .any(|span| {
            let of_trace = spans.iter().filter(|other| other.trace == span.trace);
            let services: Vec<&str> = of_trace.map(|other| other.service.as_str()).collect();
            wanted.iter().all(|service| services.contains(service))
                && span.has_chain_to_root(&spans)
        });
    assert!(linked, "no trace spans {wanted:?}: {spans:#?}");
}

#[test]
fn a_stop_goes_in_reverse_order_loses_nothing_and_leaves_nothing_running() {
    let ride = Ride::start("coins-secure", &[]);
    let upload = ride.slow_upload("");

    let (finished, project) = ride.stop();
    let order = stop_order(&finished.output());
    assert_eq!(
        order,
        ["tls-proxy", "auth-filter", "coins", "telemetry-forwarder"],
        "{finished:?}"
    );

    let answer = upload.end_within(ANSWER);
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

/// Row 3 of the faults: the app is killed with a request in flight.
#[test]
fn an_app_that_is_killed_leaves_no_client_hanging_and_ends_its_task() {
    let ride = Ride::start("coins-secure", &[]);
    let upload = ride.slow_upload("--output /dev/null --write-out '%{http_code} %{exitcode}'");
    let killed = ride.shell(
        "for p in /proc/[0-9]*; do \
           if [ \"$(cat $p/comm)\" = coins ] && tr '\\0' '\\n' <$p/environ | grep -q \"^ECS_CONTAINER_METADATA_URI_V4\" \
             && [ \"$(readlink $p/cwd)\" = \"$PWD\" ]; then kill -9 ${p#/proc/} && echo killed; fi; done 2>/dev/null",
    );

    assert!(killed.stdout.contains("killed"), "{}", killed.output());
    let told = upload.end_within(ANSWER).stdout;
    assert!(told.starts_with("502 "), "{told}");

    let finished = ride.up.end_within(END);
    assert_eq!(finished.code, 137, "{}", finished.output());
    let order = stop_order(&finished.output());
    let wanted = ["coins", "tls-proxy", "auth-filter", "telemetry-forwarder"];

    assert_eq!(
        order, wanted,
        "it, then who depends on it, then who they depend on"
    );
    let left = ride.network.programs_left(PROGRAMS);
    assert!(left.is_empty(), "left running: {left:?}");
}

/// Row 6 of the faults: a stop while requests come one after the other, each on a connection of its own.
#[test]
fn a_stop_under_load_fails_no_request_that_was_taken() {
    let ride = Ride::start("coins-secure", &[]);
    let (command, _) = ride.command_and_token();

    // 7: nobody listens any more; 35: the way in still opens, and nobody is behind it.
    let load = format!(
        "while :; do {command} --silent --output /dev/null --write-out '%{{http_code}} %{{exitcode}}\\n'; \
         case $? in 7|35) exit;; esac; done"
    );
    let mut clients = [ride.start_shell(&load), ride.start_shell(&load)];

    for client in &mut clients {
        client.wait_for("200 0", ANSWER);
    }
    ride.stop();

    for client in clients {
        let told = client.end_within(ANSWER).stdout;
        let bad = told
            .lines()
            .find(|line| !matches!(*line, "200 0" | "000 7" | "000 35"));
        assert_eq!(bad, None, "{told}");
    }
}

#[test]
fn no_log_shows_a_token_or_a_key_even_at_trace() {
    let loud = [
        "--env",
        "tls-proxy:TLS_PROXY_LOG=trace",
        "--env",
        "auth-filter:AUTH_FILTER_LOG=trace",
    ];

    let ride = Ride::start("coins-secure", &loud);
    let (with_token, token) = ride.command_and_token();
    assert!(token.len() > 100, "{token}");
    assert!(ride.json(&with_token)["total"]["minor"].is_u64());

    let (finished, project) = ride.stop();
    let output = finished.output();
    assert!(
        output.contains("\"level\":\"trace\""),
        "nothing was logged at trace"
    );

    let signature = token.rsplit('.').next().expect("three parts");
    assert!(!output.contains(signature), "the token was printed");
    let pem = fs::read_to_string(project.root().join(".assemble/dev/tls.pem")).expect("readable");
    let (_, key) = pem.split_once("PRIVATE KEY-----").expect("a key");

    for line in key
        .lines()
        .filter(|line| line.len() > 20 && !line.starts_with('-'))
    {
        assert!(!output.contains(line), "the key was printed");
    }
}

#[test]
fn a_thumbnail_task_runs_to_its_end_with_the_apps_exit_code() {
    let (network, project) = (Network::new(), Project::new());
    let film = film(&project.root().join("film.mp4"));
    let picture = project.root().join("film.jpg");
    let mut command = project.assemble(&network);

    command
        .args(["up", "thumbnail-on-demand"])
        .args(on_demand(&film, &picture));

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
fn a_thumbnail_task_of_no_film_ends_with_the_code_of_its_class() {
    let (network, project) = (Network::new(), Project::new());
    let garbage = project.root().join("film.mp4");
    fs::write(&garbage, "<html>not a film</html>".repeat(100)).expect("writable");

    let picture = project.root().join("film.jpg");
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
fn coins_in_video_counts_the_coins_on_the_picture_of_a_video() {
    let project = Project::new();
    let video = video_of(&sample(), &project.root().join("coins.mp4"));
    let ride = Ride::start_in(Network::new(), project, "coins-in-video", &[]);
    let command = ride.printed_command();
    let of_photo: Value = ride.json(&with_body(&command, &sample(), "image/jpeg"));
    let of_video: Value = ride.json(&with_body(&command, &video, "video/mp4"));
    let total = of_photo["total"]["minor"].as_u64();

    assert!(total.is_some_and(|total| total > 0), "{of_photo}");
    assert_eq!(of_video["total"]["minor"].as_u64(), total, "{of_video}");
    let order = stop_order(&ride.stop().0.output());
    let wanted = [
        "tls-proxy",
        "auth-filter",
        "coins",
        "thumbnail",
        "telemetry-forwarder",
    ];
    assert_eq!(order, wanted);
}

/// An assembly under `assemble up`, ready, in a project of its own.
struct Ride {
    network: Network,
    project: Project,
    up: Process,
}

impl Ride {
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

    /// The command that `up` printed, its continued lines joined.
    fn printed_command(&self) -> String {
        let output = format!("{}\n{}", self.up.stdout(), self.up.stderr());
        let start = output.find("curl ").expect("it was waited for");
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

    /// The same with a token of its own in the place where the line asks for one, and that token.
    fn command_and_token(&self) -> (String, String) {
        let told = self.shell("$ASSEMBLE dev-token --audience coins").stdout;
        let token = told.trim().to_owned();
        let command = self.printed_command();
        let start = command.find("$(").expect("a token");
        let end = start + command[start..].find(')').expect("its end") + 1;
        let command = format!("{}{token}{}", &command[..start], &command[end..]);
        (command, token)
    }

    /// The printed command with more arguments, sending so slowly that it is under way.
    fn slow_upload(&self, more: &str) -> Process {
        let command = self.printed_command();
        let mut upload = self.start_shell(&format!("{command} --silent --limit-rate 40k {more}"));
        // At 40 kB a second the photo is under way for about two.
        let ended = acceptance::wait_until(Duration::from_millis(500), || !upload.is_running());
        assert!(!ended, "the upload was too quick to be interrupted");
        upload
    }

    /// Starts a line in a shell in the project's folder.
    fn start_shell(&self, line: &str) -> Process {
        let mut command = self.network.command("sh");
        command.args(["-c", line]).current_dir(self.project.root());
        Process::start(command)
    }

    /// Pastes a line into a shell in the project's folder.
    fn shell(&self, line: &str) -> Finished {
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

    /// A certificate authority that signed nothing here.
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

    /// Ctrl-C: everything ends by itself, with exit code 0, and no process is left.
    fn stop(self) -> (Finished, Project) {
        self.up.signal("INT");
        let finished = self.up.end_within(END);
        assert_eq!(finished.code, 0, "{}", finished.output());
        let left = self.network.programs_left(PROGRAMS);
        assert!(left.is_empty(), "left running: {left:?}");
        (finished, self.project)
    }
}

/// The printed command with another file as its body.
fn with_body(command: &str, file: &Path, kind: &str) -> String {
    let body = command
        .split_whitespace()
        .find(|word| word.starts_with('@'))
        .expect("a body");
    command
        .replace(body, &format!("@{}", file.display()))
        .replace("image/jpeg", kind)
}

/// The user's own OTLP endpoint: a telemetry-forwarder that writes into a file.
struct OtlpSink(Process);

impl OtlpSink {
    const VALUE: &str = "otlp=http://127.0.0.1:14318";
    const FILE: &str = "users-endpoint.jsonl";

    fn start(network: &Network, project: &Project) -> Self {
        // Under a name of its own, so that what is left of the ride can be told from it.
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
        let finished = self.0.end_within(END);
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

    /// Whether every parent up to the root is there: no hop lost its link.
    fn has_chain_to_root(&self, spans: &[Self]) -> bool {
        let mut parent = self.parent.clone();
        for _ in 0..spans.len() {
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

/// The containers in the order in which `up` said that they had ended: `7.984 coins ○ exited 0`.
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

fn film(path: &Path) -> PathBuf {
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

/// A second of video that shows the photo and nothing else.
fn video_of(photo: &Path, path: &Path) -> PathBuf {
    let photo = photo.display().to_string();
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
