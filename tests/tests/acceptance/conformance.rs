//! Checks every component folder against the contract of `sidecars/README.md` by running its binary, and again
//! through every bundle that contains it.
//!
//! Nothing here names a component, so a new folder is included automatically.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use acceptance::{Network, Process, Project, binary, bundle_folders, component_folders};
use serde_json::Value;

/// How long a component may take to start or stop.
const START: Duration = Duration::from_secs(20);
/// How long a verb that does not serve may take.
const QUICK: Duration = Duration::from_secs(10);
const MARKER: &str = "marker-that-must-not-print-7c1e";

#[test]
fn a_component_folder_is_complete() {
    for component in Component::all() {
        for file in [
            "Cargo.toml",
            "README.md",
            "component.yaml",
            "src/lib.rs",
            "src/main.rs",
        ] {
            assert!(
                component.folder.join(file).exists(),
                "{}: {file} is missing",
                component.name
            );
        }

        let folder = component
            .folder
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();

        assert_eq!(component.name, folder, "component.yaml has another name");
    }
}

#[test]
fn describe_agrees_with_component_yaml() {
    let network = Network::new();
    for component in Component::all() {
        let description = component.describe(&network);
        assert_eq!(description["name"], component.name.as_str());
        assert_eq!(
            parse_described_settings(&description),
            component.declared_settings(),
            "{}: component.yaml and `describe` differ (left: describe)",
            component.name
        );

        for port in description["ports"].as_array().expect("ports is a list") {
            let number = port["port"].as_u64().expect("a port has a number");
            assert!(
                component.declared_ports().contains(&number),
                "{}: port {number} is not provided in component.yaml",
                component.name
            );
        }

        assert_eq!(
            description["admin"]["port"],
            component.manifest["admin"]["port"]
        );
    }
}

#[test]
fn every_bad_setting_is_reported_at_once_by_its_full_name() {
    let network = Network::new();
    for component in Component::all() {
        let project = Project::new();
        let mut command = component.alone(&network, &project);
        command
            .arg("check")
            .env(component.variable("admin"), "nowhere")
            .env(component.variable("drain_timeout"), "soon")
            // A bad address, a bad duration and an unknown name.
            .env(component.variable("no_such_setting"), "1");

        let finished = Process::finish(command, QUICK);
        assert_eq!(
            finished.code,
            2,
            "{}: {}",
            component.name,
            finished.output()
        );

        for setting in ["admin", "drain_timeout", "no_such_setting"] {
            let variable = component.variable(setting);
            assert!(
                finished.output().contains(&variable),
                "{}: {variable} is missing in: {}",
                component.name,
                finished.output()
            );
        }
    }
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    let network = Network::new();
    for component in Component::all() {
        let mut command = component.command(&network);
        command.arg("dance");
        let finished = Process::finish(command, QUICK);
        assert_eq!(
            finished.code,
            2,
            "{}: {}",
            component.name,
            finished.output()
        );
        assert!(finished.output().contains("dance"), "{}", finished.output());
    }
}

#[test]
fn a_secret_is_never_printed() {
    let network = Network::new();
    for component in Component::all() {
        let secrets = component.secret_settings();
        for verb in ["describe", "check", "serve"] {
            let project = Project::new();
            let mut command = component.alone(&network, &project);
            command.arg(verb).env(component.variable("log"), "trace");
            for secret in &secrets {
                // Invalid for most secrets, so that the errors of parsers could quote it.
                command.env(component.variable(secret), MARKER);
            }

            let process = Process::start(command);
            // `serve` may or may not get as far as its first log line with such settings.
            acceptance::wait_until(Duration::from_secs(2), || !process.stdout().is_empty());
            process.signal("TERM");

            let output = process.wait_for_exit(START).output();
            assert!(
                !output.contains(MARKER),
                "{} {verb} printed a secret",
                component.name
            );
        }
    }
}

#[test]
fn serves_answers_its_probe_and_exits_0_on_sigterm() {
    for component in Component::all() {
        let (network, project) = (Network::new(), Project::new());
        assert_eq!(
            component.probe(&network),
            1,
            "{}: the probe succeeds before it runs",
            component.name
        );

        let mut server = Process::start(component.alone(&network, &project));
        component.wait_until_live(&network, &mut server);
        server.signal("TERM");

        let finished = server.wait_for_exit(START);
        assert_eq!(
            finished.code,
            0,
            "{}: {}",
            component.name,
            finished.output()
        );

        // The contract: one JSON object per line on stdout.
        for line in finished.stdout.lines() {
            let parsed: Result<Value, _> = serde_json::from_str(line);
            assert!(
                parsed.is_ok(),
                "{}: not a JSON log line: {line}",
                component.name
            );
        }
    }
}

#[test]
fn listens_on_loopback_by_default() {
    let network = Network::new();
    for component in Component::all() {
        let description = component.describe(&network);
        let settings = parse_described_settings(&description);
        for port in description["ports"].as_array().expect("a list") {
            let setting = port["setting"].as_str().expect("a setting");
            let address = settings[setting].default.as_str().unwrap_or_default();
            // On Fargate every bound port is reachable from outside the task (contract, section 4).
            let loopback = address.starts_with("127.") || address.starts_with("[::1]");
            assert!(
                loopback,
                "{}: `{setting}` is {address} by default",
                component.name
            );
        }
    }
}

#[test]
fn is_live_but_not_ready_while_draining_and_ends_on_a_second_signal() {
    for component in Component::all() {
        let (network, project) = (Network::new(), Project::new());
        let mut command = component.alone(&network, &project);
        command.env(component.variable("drain_delay"), "60s");

        let mut server = Process::start(command);
        component.wait_until_live(&network, &mut server);
        server.signal("TERM");

        let is_unready = acceptance::wait_until(QUICK, || {
            component.run(&network, &["probe", "--ready"]) == 1
        });
        assert!(is_unready, "{}: still ready while draining", component.name);
        assert_eq!(
            component.probe(&network),
            0,
            "{}: not live while draining",
            component.name
        );

        // Far less than the drain delay of a minute, whatever the load of the host.
        let second = Instant::now();
        server.signal("TERM");
        let finished = server.wait_for_exit(QUICK);
        assert!(
            second.elapsed() < Duration::from_secs(5),
            "{}",
            component.name
        );
        assert_eq!(
            finished.code,
            143,
            "{}: {}",
            component.name,
            finished.output()
        );
    }
}

#[test]
fn works_as_pid_1() {
    for component in Component::all() {
        let (network, project) = (Network::new(), Project::new());
        // In its own PID namespace, the component has no default signal handlers (`kill(2)`).
        let Some(init) = pid_namespace(&network) else {
            return acceptance::report_skip(
                "works_as_pid_1",
                "PID namespaces are not allowed here",
            );
        };
        let mut command = component.environment(init, &network, &project);

        command.arg(&component.binary).args(&component.selector);
        let mut server = Process::start(command);
        component.wait_until_live(&network, &mut server);

        // `unshare` forks; the signal must go to its child, which is PID 1 inside.
        let inner = children_of(server.id());
        assert_eq!(
            inner.len(),
            1,
            "{}: unshare must have one child",
            component.name
        );
        signal(inner[0], "TERM");

        let finished = server.wait_for_exit(START);
        assert_eq!(
            finished.code,
            0,
            "{}: {}",
            component.name,
            finished.output()
        );
    }
}

#[test]
fn a_telemetry_backend_that_is_down_does_not_delay_the_exit() {
    for component in Component::all() {
        let (network, project) = (Network::new(), Project::new());
        let mut command = component.alone(&network, &project);
        // Port 1 has no listener, so every export fails.
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");

        let mut server = Process::start(command);
        component.wait_until_live(&network, &mut server);
        let stopping = Instant::now();
        server.signal("TERM");

        let finished = server.wait_for_exit(START);
        assert_eq!(
            finished.code,
            0,
            "{}: {}",
            component.name,
            finished.output()
        );

        assert!(
            stopping.elapsed() < QUICK,
            "{}: waited for the telemetry backend",
            component.name
        );
    }
}

/// A component folder with its `component.yaml` and a binary that contains the component.
struct Component {
    name: String,
    folder: PathBuf,
    binary: PathBuf,
    /// The arguments before the verb: the name of the component, if the binary contains several.
    selector: Vec<String>,
    manifest: Value,
}

impl Component {
    /// Returns every component with its own binary, and the members of bundles with those of the bundles.
    fn all() -> Vec<Self> {
        let mut found: Vec<Self> = component_folders().into_iter().map(Self::read).collect();
        // Guards against a moved folder, which would make every test pass over nothing.
        assert!(
            found.len() >= 5,
            "only {} component folders were found",
            found.len()
        );

        let bundled: Vec<Self> = bundle_folders()
            .iter()
            .flat_map(|bundle| Self::read_members(bundle))
            .collect();
        assert!(
            bundled.len() >= 3,
            "only {} members were found",
            bundled.len()
        );
        found.extend(bundled);
        found
    }

    fn read_members(bundle: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(bundle.join("bundle.yaml")).expect("readable");
        let file: Value = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", bundle.display()));
        let members = file["members"].as_array().expect("members is a list");
        let names: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
        let program = binary(file["name"].as_str().expect("a name"));

        let components = component_folders().into_iter().map(Self::read);
        components
            .filter(|component| names.contains(&component.name.as_str()))
            .map(|component| Self {
                binary: program.clone(),
                selector: vec![component.name.clone()],
                ..component
            })
            .collect()
    }

    fn read(folder: PathBuf) -> Self {
        let text = std::fs::read_to_string(folder.join("component.yaml")).expect("readable");
        let manifest: Value = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let name = manifest["name"].as_str().expect("a name").to_owned();
        let program = manifest["local"]["binary"].as_str().expect("local.binary");
        Self {
            binary: binary(program),
            selector: Vec::new(),
            name,
            folder,
            manifest,
        }
    }

    /// Returns the variable of a setting: `TLS_PROXY_DRAIN_TIMEOUT` for `drain_timeout`.
    fn variable(&self, setting: &str) -> String {
        let path = setting.replace('.', "__");
        format!("{}_{path}", self.name)
            .replace('-', "_")
            .to_uppercase()
    }

    fn command(&self, network: &Network) -> Command {
        let mut command = network.command(&self.binary);
        command.args(&self.selector);
        command
    }

    /// Returns a command for the binary with the settings under `local.alone`, with which it starts alone.
    fn alone(&self, network: &Network, project: &Project) -> Command {
        self.environment(self.command(network), network, project)
    }

    fn environment(&self, mut command: Command, network: &Network, project: &Project) -> Command {
        command.current_dir(project.root());
        let Some(settings) = self.manifest["local"]["alone"].as_object() else {
            return command;
        };

        generate_dev_keys(network, project);
        for (setting, value) in settings {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            command.env(self.variable(setting), text);
        }

        command
    }

    fn run(&self, network: &Network, arguments: &[&str]) -> i32 {
        let mut command = self.command(network);
        command.args(arguments);
        Process::finish(command, QUICK).code
    }

    fn probe(&self, network: &Network) -> i32 {
        self.run(network, &["probe"])
    }

    fn wait_until_live(&self, network: &Network, server: &mut Process) {
        let live =
            acceptance::wait_until(START, || self.probe(network) == 0 || !server.is_running());
        let output = format!("{}\n{}", server.stdout(), server.stderr());
        assert!(
            live && server.is_running(),
            "{} does not serve alone:\n{output}",
            self.name
        );
    }

    fn describe(&self, network: &Network) -> Value {
        let mut command = self.command(network);
        command.arg("describe");
        let finished = Process::finish(command, QUICK);
        serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.name, finished.output()))
    }

    fn declared_settings(&self) -> BTreeMap<String, Declared> {
        let settings = self.manifest["settings"]
            .as_object()
            .expect("settings is a map");
        settings
            .iter()
            .map(|(name, value)| (name.clone(), Declared::from(value)))
            .collect()
    }

    fn secret_settings(&self) -> Vec<String> {
        let declared = self.declared_settings();
        declared
            .into_iter()
            .filter(|(_, value)| value.secret)
            .map(|(name, _)| name)
            .collect()
    }

    fn declared_ports(&self) -> Vec<u64> {
        let provides = self.manifest["provides"].as_object();
        let ports = provides.into_iter().flat_map(|map| map.values());
        ports
            .filter_map(|provided| provided["port"].as_u64())
            .collect()
    }
}

/// The properties of a setting that `component.yaml` and `describe` must agree on.
#[derive(Debug, PartialEq)]
struct Declared {
    kind: String,
    default: Value,
    choices: Value,
    min: Value,
    max: Value,
    format: Value,
    items: Value,
    secret: bool,
    required: bool,
    doc: String,
}

impl From<&Value> for Declared {
    fn from(value: &Value) -> Self {
        let truth = |key: &str| value[key].as_bool().unwrap_or(false);
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self {
            kind: text("type"),
            default: value["default"].clone(),
            choices: value["choices"].clone(),
            min: value["min"].clone(),
            max: value["max"].clone(),
            format: value["format"].clone(),
            items: value["items"].clone(),
            secret: truth("secret"),
            required: truth("required"),
            doc: text("doc"),
        }
    }
}

fn parse_described_settings(description: &Value) -> BTreeMap<String, Declared> {
    let settings = description["settings"]
        .as_array()
        .expect("settings is a list");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    settings
        .iter()
        .map(|value| (name(value), Declared::from(value)))
        .collect()
}

/// Generates the development keys, which `assemble dev-token` does on first use.
fn generate_dev_keys(network: &Network, project: &Project) {
    let mut command = project.assemble(network);
    command.arg("dev-token");
    let finished = Process::finish(command, QUICK);
    assert_eq!(finished.code, 0, "{}", finished.output());
}

/// Returns a command that runs its program as PID 1, or `None` if that is not allowed.
fn pid_namespace(network: &Network) -> Option<Command> {
    let unshare = || {
        let mut command = network.command("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--"]);
        command
    };
    let mut trial = unshare();
    trial.arg("true");
    (Process::finish(trial, QUICK).code == 0).then(unshare)
}

fn children_of(id: u32) -> Vec<u32> {
    let path = format!("/proc/{id}/task/{id}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

fn signal(id: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), id.to_string()])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cannot signal {id}"
    );
}
