//! `component.yaml`, field by field: all that the assembler ever sees of a component.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A program that can stand in a task, as its `component.yaml` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Component")]
pub struct ComponentFile {
    /// The version of this file's form: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The name: folder, package, binary and container are all called so. Small letters, digits and
    /// `-`; where `container` stands, everything that ECS allows.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// Where in a task it can stand.
    pub kind: Kind,
    /// What it does, in one line.
    pub summary: String,
    /// The image; `${…}` are values.
    pub image: String,
    /// The interfaces it offers.
    #[serde(default)]
    pub provides: BTreeMap<String, ProvidedInterface>,
    /// The interfaces it must be given. `upstream` on a proxy is the next hop.
    #[serde(default)]
    pub requires: BTreeMap<String, RequiredInterface>,
    /// Whether it sends OpenTelemetry and is to be told where.
    #[serde(default)]
    pub telemetry: bool,
    /// Whether it waits for what it requires by itself. One that does not is held back until that is
    /// healthy, which costs a health interval at every start.
    #[serde(default = "yes")]
    pub waits: bool,
    /// Where it answers `/live` and `/ready`.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// What follows the program's name on the command line.
    #[serde(default)]
    pub commands: Commands,
    /// Its settings, by dotted name.
    #[serde(default)]
    pub settings: BTreeMap<String, SettingDeclaration>,
    /// Lists of settings: of each, one must be given at least. The first is the one people mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Vec<String>>,
    /// How ECS asks whether it is well.
    #[serde(default)]
    pub health: Option<Health>,
    /// What `run` is told about the new object that started the task, by setting. `{bucket}`, `{key}`, `{size}`,
    /// `{etag}`, `{sequencer}` and `{event}` come from the event, `{output_bucket}` from the assembly.
    #[serde(default)]
    pub trigger: BTreeMap<String, String>,
    /// What it needs of the task's size.
    pub size: Size,
    /// How it ends.
    #[serde(default)]
    pub stop: Stop,
    /// What it calls in AWS, and why.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Folders it must be able to write; everything else is read-only.
    #[serde(default)]
    pub files: Vec<String>,
    /// How to run it on a developer's machine: a program, `skip` or `stub`.
    #[serde(default)]
    pub local: Option<Local>,
    /// Says that the image does not keep the component contract, and what its container must have, in
    /// the task definition's words. Nothing else is then assumed: entry point, command, user and root
    /// file system are the image's own, and defaults of settings are written out.
    #[serde(default)]
    pub container: Option<Map<String, Value>>,
    /// Makes it the task's log router: the others log through it.
    #[serde(default)]
    pub firelens: Option<Firelens>,
}

/// Where in a task a component can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a task exists for; also useful beside another app.
    App,
    /// A hop in front of the app.
    Proxy,
    /// A helper beside the app.
    Sidecar,
    /// Runs to its end before the app starts.
    Init,
}

/// An interface that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvidedInterface {
    /// The setting that says where to listen, `address:port`. Left out for a program that cannot be
    /// told: it listens on `port`, on all addresses.
    #[serde(default)]
    pub setting: String,
    /// The port it listens on when nobody says otherwise.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What Service Connect and load balancers may assume.
    #[serde(default)]
    pub app_protocol: Option<AppProtocol>,
}

/// What a load balancer may assume about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AppProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    Http2,
    /// gRPC.
    Grpc,
}

/// An interface that must be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredInterface {
    /// The interface.
    pub interface: String,
    /// The setting that is told where it is.
    pub setting: String,
    /// How it is told: `{address}` is replaced by `127.0.0.1:8081`.
    #[serde(default = "http_address")]
    pub form: String,
    /// Whether it also works without.
    #[serde(default)]
    pub optional: bool,
}

/// Where a component answers `/live` and `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The setting that says where.
    pub setting: String,
    /// The port when nobody says otherwise.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// What follows the program's name on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// To serve until told to stop; `[serve]` when left out.
    #[serde(default)]
    pub service: Option<Vec<String>>,
    /// To do one thing and end.
    #[serde(default)]
    pub on_demand: Option<Vec<String>>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingDeclaration {
    /// What its value looks like.
    #[serde(rename = "type")]
    pub kind: SettingKind,
    /// The value when nobody says otherwise.
    #[serde(default)]
    pub default: Option<Value>,
    /// The words it can be; of a list, those its items can be.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The least number it may be.
    #[serde(default)]
    pub min: Option<f64>,
    /// The greatest number it may be.
    #[serde(default)]
    pub max: Option<f64>,
    /// What its text looks like.
    #[serde(default)]
    pub format: Option<SettingFormat>,
    /// The kind of a list's items.
    #[serde(default)]
    pub items: Option<SettingKind>,
    /// Whether somebody must say.
    #[serde(default)]
    pub required: bool,
    /// Whether it is a secret: it then comes from Secrets Manager or Parameter Store only.
    #[serde(default)]
    pub secret: bool,
    /// The environment variable, where it does not follow from the names.
    #[serde(default)]
    pub env: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub doc: String,
}

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// A map.
    Object,
}

/// What the text of a setting looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingFormat {
    /// Where to listen: `127.0.0.1:8080`.
    Address,
    /// How long: `250ms`, `30s`, `5m`, `1h`.
    Duration,
    /// A URL: `http://127.0.0.1:8080`.
    Uri,
}

/// How ECS asks whether a component is well. Seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// What follows the program's name: `[probe]`; or a whole check as ECS takes it, which begins with
    /// `CMD` or `CMD-SHELL`.
    pub command: Vec<String>,
    /// Between two checks.
    pub interval: u32,
    /// That one check may take.
    pub timeout: u32,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// At the start, in which failures do not count.
    #[serde(default)]
    pub start_period: u32,
}

/// What a component needs of the task's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// CPU units it must have; 1024 are a vCPU.
    #[schemars(range(min = 1))]
    pub cpu: u32,
    /// MiB it must have.
    #[schemars(range(min = 6))]
    pub memory: u32,
    /// Its part of what is left over when the task's size is larger than the sum.
    #[serde(default)]
    pub weight: u32,
}

/// How a component ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Seconds between SIGTERM and SIGKILL.
    pub timeout: u32,
}

impl Default for Stop {
    fn default() -> Self {
        Self { timeout: 30 }
    }
}

/// What a component calls in AWS, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The actions: `s3:GetObject`.
    pub actions: Vec<String>,
    /// The resources; `${…}` are values, `${settings.x}` the component's settings and
    /// `${on_demand.x}` the fields of the assembly's trigger; a permission that names the
    /// trigger is left out where there is none.
    pub resources: Vec<String>,
    /// What it is for; printed beside the statement.
    pub why: String,
    /// The statement's id; made from the actions when left out.
    #[serde(default)]
    pub sid: Option<String>,
}

/// The log router of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firelens {
    /// Which router it is.
    #[serde(rename = "type")]
    pub kind: Router,
    /// Options of `firelensConfiguration`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The setting, a map, that holds the options of everybody's log driver: where lines go. `${…}` in
    /// it are values; `${assembly}` and `${container}` are the names of the task and of who logs.
    pub output: String,
}

/// A log router that ECS knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Router {
    /// Fluent Bit.
    Fluentbit,
    /// Fluentd.
    Fluentd,
}

impl Router {
    /// The word ECS uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fluentbit => "fluentbit",
            Self::Fluentd => "fluentd",
        }
    }
}

/// How to run a component on a developer's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Local {
    /// There is no program here for it.
    Fallback(LocalFallback),
    /// This program.
    Program(LocalProgram),
}

impl Local {
    /// The program, if there is one.
    pub fn program(&self) -> Option<&LocalProgram> {
        match self {
            Self::Program(program) => Some(program),
            Self::Fallback(_) => None,
        }
    }
}

/// What is done without a component whose program is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalFallback {
    /// The container is left out; who waits for it does not.
    Skip,
    /// Something that only sleeps stands in its place.
    Stub,
}

/// The program of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalProgram {
    /// The program.
    pub binary: String,
    /// The command that builds it.
    #[serde(default)]
    pub build: String,
    /// Debian packages it needs to be built and run.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Settings under which it starts without an assembly; the conformance tests run it so. Paths
    /// are from the root of a project whose development keys have been made.
    #[serde(default)]
    pub alone: BTreeMap<String, String>,
    /// A request worth trying once it runs.
    #[serde(default, rename = "try")]
    pub attempt: Option<Attempt>,
}

/// A request worth trying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The type of the body.
    #[serde(default)]
    pub content_type: Option<String>,
    /// A file with the body, from the root of the project.
    #[serde(default)]
    pub sample: Option<String>,
}

fn yes() -> bool {
    true
}

fn http_address() -> String {
    "http://{address}".to_owned()
}
