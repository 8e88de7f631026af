//! The fields of `component.yaml`: all that the assembler knows about a component.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::byte_size::ByteSize;
use super::image_build::ImageBuild;
use super::local::{Local, TokenSettings};

/// A program that can run in a task, as its `component.yaml` describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Component")]
pub struct ComponentFile {
    /// The version of the file format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The name of the folder, package, binary and container. Lower-case letters, digits and `-`; with
    /// `container`, every name that ECS allows.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]+$"))]
    pub name: String,
    /// The role in a task that it can have.
    pub kind: Kind,
    /// A one-line description.
    pub summary: String,
    /// The image; may contain `${…}`.
    pub image: String,
    /// The largest compressed size of the image that `assemble images build` accepts: `3.2 MB`.
    #[serde(default)]
    pub image_budget: Option<ByteSize>,
    /// The licences of everything in the image, as an SPDX expression; by default those of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// What building the image needs besides cargo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<ImageBuild>,
    /// The interfaces it provides.
    #[serde(default)]
    pub provides: BTreeMap<String, ProvidedInterface>,
    /// The interfaces it needs. `upstream` of a proxy is the next hop.
    #[serde(default)]
    pub requires: BTreeMap<String, RequiredInterface>,
    /// Whether it sends OpenTelemetry data and needs the endpoint.
    #[serde(default)]
    pub telemetry: bool,
    /// Whether it waits for its requirements itself. Otherwise its container starts only when they are healthy,
    /// which costs a health-check interval at every start.
    #[serde(default = "yes")]
    pub waits: bool,
    /// The address of `/live` and `/ready`.
    #[serde(default)]
    pub admin: Option<Admin>,
    /// The arguments of the program.
    #[serde(default)]
    pub commands: Commands,
    /// Its settings, by dotted name.
    #[serde(default)]
    pub settings: BTreeMap<String, SettingDeclaration>,
    /// Lists of settings of which at least one is required. The first one is the most common.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Vec<String>>,
    /// The container health check.
    #[serde(default)]
    pub health: Option<Health>,
    /// Settings of `run` that are filled from the event of the new object. `{bucket}`, `{key}`, `{size}`,
    /// `{etag}`, `{sequencer}` and `{event}` come from the event, `{output_bucket}` from the assembly.
    #[serde(default)]
    pub trigger: BTreeMap<String, String>,
    /// Its part of the task size.
    pub size: Size,
    /// How it is stopped.
    #[serde(default)]
    pub stop: Stop,
    /// The AWS actions it calls, with the reason.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Folders it writes to; all others are read-only.
    #[serde(default)]
    pub files: Vec<String>,
    /// How to run it locally: a program, `skip` or `stub`.
    #[serde(default)]
    pub local: Option<Local>,
    /// Marks an image that does not follow the component contract, and sets fields of its container as in a
    /// task definition. The assembler then makes no assumptions: entry point, command, user and root file
    /// system are those of the image, and defaults of settings are written out.
    #[serde(default)]
    pub container: Option<Map<String, Value>>,
    /// Makes it the log router of the task: the other containers log through it.
    #[serde(default)]
    pub firelens: Option<Firelens>,
}

impl ComponentFile {
    /// Returns the environment variable of a setting.
    pub fn variable(&self, setting: &str) -> String {
        let declaration = self.settings.get(setting);
        let declared = declaration.and_then(|declaration| declaration.env.clone());
        declared.unwrap_or_else(|| {
            // The convention of the components: `limits.idle_timeout` of my-proxy is MY_PROXY_LIMITS__IDLE_TIMEOUT.
            let name = setting.to_uppercase().replace('-', "_").replace('.', "__");
            format!("{}{name}", self.prefix())
        })
    }

    /// Returns the prefix of its environment variables: `MY_PROXY_`.
    pub fn prefix(&self) -> String {
        format!("{}_", self.name.to_uppercase().replace('-', "_"))
    }

    /// Returns the settings of the token that it requires, if it checks tokens.
    pub fn token(&self) -> Option<&TokenSettings> {
        self.local.as_ref()?.program()?.token.as_ref()
    }
}

/// The role of a component in a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The purpose of the task; can also run next to another app.
    App,
    /// A hop in front of the app.
    Proxy,
    /// A program next to the app.
    Sidecar,
    /// Runs to completion before the app starts.
    Init,
}

/// An interface that a component provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvidedInterface {
    /// The setting for the listen address, `address:port`. Omit it for a program with a fixed address: it
    /// listens on `port` of all addresses.
    #[serde(default)]
    pub setting: String,
    /// The default port.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The protocol for Service Connect and load balancers.
    #[serde(default)]
    pub app_protocol: Option<AppProtocol>,
}

/// The application protocol of a port.
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

/// An interface that a component needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredInterface {
    /// The interface.
    pub interface: String,
    /// The setting for its address.
    pub setting: String,
    /// The format of the setting: `{address}` is replaced by an address such as `127.0.0.1:8081`.
    #[serde(default = "http_address")]
    pub form: String,
    /// Whether the component also works without it.
    #[serde(default)]
    pub optional: bool,
}

/// The address of a component's `/live` and `/ready`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The setting for the address.
    pub setting: String,
    /// The default port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// The arguments of the program.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// For a service; the default is `[serve]`.
    #[serde(default)]
    pub service: Option<Vec<String>>,
    /// For a task that ends.
    #[serde(default)]
    pub on_demand: Option<Vec<String>>,
}

/// The declaration of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingDeclaration {
    /// The type of its value.
    #[serde(rename = "type")]
    pub kind: SettingKind,
    /// The default value.
    #[serde(default)]
    pub default: Option<Value>,
    /// The allowed values; for a list, of its items.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The minimum.
    #[serde(default)]
    pub min: Option<f64>,
    /// The maximum.
    #[serde(default)]
    pub max: Option<f64>,
    /// The format of its text.
    #[serde(default)]
    pub format: Option<SettingFormat>,
    /// The type of a list's items.
    #[serde(default)]
    pub items: Option<SettingKind>,
    /// Whether it must be set.
    #[serde(default)]
    pub required: bool,
    /// Whether it is a secret: it then comes from Secrets Manager or Parameter Store only.
    #[serde(default)]
    pub secret: bool,
    /// The environment variable, where it does not follow from the names.
    #[serde(default)]
    pub env: Option<String>,
    /// Its purpose.
    #[serde(default)]
    pub doc: String,
}

/// The type of a setting.
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

/// The format of a text setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SettingFormat {
    /// A listen address: `127.0.0.1:8080`.
    Address,
    /// A duration: `250ms`, `30s`, `5m`, `1h`.
    Duration,
    /// A URL: `http://127.0.0.1:8080`.
    Uri,
}

/// The container health check. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// The arguments of the program, such as `[probe]`, or a complete ECS command that begins with `CMD` or
    /// `CMD-SHELL`.
    pub command: Vec<String>,
    /// The time between two checks.
    pub interval: u32,
    /// The time limit of one check.
    pub timeout: u32,
    /// Consecutive failures until the container is unhealthy.
    pub retries: u32,
    /// The time after the start in which failures do not count.
    #[serde(default)]
    pub start_period: u32,
}

/// A component's part of the task size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// The CPU units it needs; 1024 are a vCPU.
    #[schemars(range(min = 1))]
    pub cpu: u32,
    /// The MiB of memory it needs.
    #[schemars(range(min = 6))]
    pub memory: u32,
    /// Its weight when the rest of a larger task size is distributed.
    #[serde(default)]
    pub weight: u32,
}

/// How a component is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The seconds between SIGTERM and SIGKILL.
    pub timeout: u32,
}

impl Default for Stop {
    fn default() -> Self {
        Self { timeout: 30 }
    }
}

/// AWS actions that a component calls, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The actions: `s3:GetObject`.
    pub actions: Vec<String>,
    /// The resources. `${…}` is a value, `${settings.x}` a setting of the component and `${on_demand.x}` a field
    /// of the assembly's trigger. A permission that refers to the trigger is left out if there is none.
    pub resources: Vec<String>,
    /// The purpose; printed with the statement.
    pub why: String,
    /// The id of the statement; derived from the actions by default.
    #[serde(default)]
    pub sid: Option<String>,
}

/// The log router of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firelens {
    /// The type of the router.
    #[serde(rename = "type")]
    pub kind: Router,
    /// Options of `firelensConfiguration`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The setting, a map, with the log-driver options of the other containers: the destination of log lines.
    /// It may contain values; `${assembly}` and `${container}` are the names of the task and of the logging
    /// container.
    pub output: String,
}

/// A log router that ECS supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Router {
    /// Fluent Bit.
    Fluentbit,
    /// Fluentd.
    Fluentd,
}

impl Router {
    /// Returns the name that ECS uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fluentbit => "fluentbit",
            Self::Fluentd => "fluentd",
        }
    }
}

fn yes() -> bool {
    true
}

fn http_address() -> String {
    "http://{address}".to_owned()
}
