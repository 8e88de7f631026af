//! Writes the `component.yaml` of a container without a component in the catalog.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition};

use super::account_context::AccountContext;
use super::overlay_diff::have_unique_names;
use crate::component::Kind;
use crate::yaml;

/// Container fields that the manifest or other fields of `component.yaml` cover.
const COVERED: [&str; 18] = [
    "name",
    "image",
    "cpu",
    "memory",
    "memoryReservation",
    "portMappings",
    "essential",
    "restartPolicy",
    "environment",
    "secrets",
    "dependsOn",
    "startTimeout",
    "stopTimeout",
    "logConfiguration",
    "healthCheck",
    "mountPoints",
    "volumesFrom",
    "firelensConfiguration",
];

/// Returns the text of the file.
pub(super) fn component(
    name: &str,
    kind: Kind,
    container: &ContainerDefinition,
    definition: &TaskDefinition,
    context: &AccountContext,
) -> String {
    let (family, raw) = (&definition.family, json!(container));
    let mut text = format!(
        "# Written by `assemble import`: the container `{}` of `{family}`. It is yours to edit.\nschema: 1\n",
        container.name
    );
    let kind_name = match kind {
        Kind::App => "app",
        Kind::Init => "init",
        _ => "sidecar",
    };

    let summary = format!("The container {} of {family}", container.name);
    for (key, value) in [
        ("name", json!(name)),
        ("kind", json!(kind_name)),
        ("summary", json!(summary)),
        ("image", json!(context.parametrise_image(&container.image))),
    ] {
        text += &yaml::entry(key, &value, 0);
    }

    if kind == Kind::App {
        text += &provides(container);
    }
    text += &settings(container);
    if let Some(health) = raw.get("healthCheck").filter(|health| is_complete(health)) {
        text += &yaml::entry("health", &health_fields(health), 0);
    }

    text += &size(container);
    let stop = container.stop_timeout.unwrap_or(30);
    text += &yaml::entry("stop", &json!({ "timeout": stop }), 0);
    text += &firelens(container, definition);
    text += &other_fields(&raw);
    if kind != Kind::App {
        text += "local: skip # `assemble up` leaves it out; give it a program to run it\n";
    }

    text
}

fn provides(container: &ContainerDefinition) -> String {
    let mappings = container.port_mappings.iter();
    let mut tcp = mappings.filter(|mapping| mapping.protocol.as_deref() != Some("udp"));
    let Some((mapping, port)) = tcp.find_map(|mapping| Some((mapping, mapping.container_port?)))
    else {
        return String::new();
    };
    let interface = mapping.name.as_deref().unwrap_or("http");
    let mut fields = json!({ "port": port });
    let protocols = ["http", "http2", "grpc"];

    if let Some(protocol) = &mapping.app_protocol
        && protocols.contains(&protocol.as_str())
    {
        fields["app_protocol"] = json!(protocol);
    }

    if u16::try_from(port).is_err() || port == 0 {
        return String::new();
    }
    yaml::entry("provides", &json!({ interface: fields }), 0)
}

/// Declares the variables as settings. The definition does not document them, so neither does the file.
fn settings(container: &ContainerDefinition) -> String {
    let declared = declare_variables(container);
    if declared.is_empty() && container.firelens_configuration.is_none() {
        return String::new();
    }

    let mut text = "settings:\n".to_owned();
    for DeclaredVariable {
        setting,
        variable,
        secret,
    } in declared
    {
        let mut fields = json!({ "type": "string", "env": variable });
        if secret {
            fields["secret"] = json!(true);
        }
        text += &yaml::entry(&setting, &fields, 2);
    }

    if container.firelens_configuration.is_some() {
        text +=
            "  log_output: { type: object, default: {}, doc: \"The destination of all logs.\" }\n";
    }

    text
}

/// A variable that becomes a setting.
pub(super) struct DeclaredVariable {
    pub(super) setting: String,
    pub(super) variable: String,
    pub(super) secret: bool,
}

/// Returns the variables that can be settings. If a name occurs twice, the manifest overrides the whole list instead.
pub(super) fn declare_variables(container: &ContainerDefinition) -> Vec<DeclaredVariable> {
    if !can_be_settings(container) {
        return Vec::new();
    }

    let plain = container
        .environment
        .iter()
        .map(|variable| (&variable.name, false));
    let secret = container.secrets.iter().map(|secret| (&secret.name, true));
    let mut all: Vec<DeclaredVariable> = Vec::new();

    for (variable, secret) in plain.chain(secret) {
        let lower = variable.to_ascii_lowercase();
        let setting = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let is_used = all.iter().any(|other| other.setting == setting) || setting == "log_output";
        // Two variables can map to one setting name (`A_B`, `a.b`); the second keeps its name.
        let setting = if is_used || setting.is_empty() {
            variable.clone()
        } else {
            setting
        };

        all.push(DeclaredVariable {
            setting,
            variable: variable.clone(),
            secret,
        });
    }

    all
}

/// Returns whether every variable has a name, and no name occurs twice in both lists together.
pub(super) fn can_be_settings(container: &ContainerDefinition) -> bool {
    let plain = container
        .environment
        .iter()
        .map(|variable| json!({ "name": variable.name }));
    let secret = container
        .secrets
        .iter()
        .map(|secret| json!({ "name": secret.name }));
    let all: Vec<Value> = plain.chain(secret).collect();
    all.is_empty() || (have_unique_names(&all) && all.iter().all(|variable| variable["name"] != ""))
}

/// Returns whether a command begins with `CMD` or `CMD-SHELL`; component.yaml takes others as program arguments.
fn is_complete(health: &Value) -> bool {
    matches!(health["command"][0].as_str(), Some("CMD" | "CMD-SHELL"))
}

fn health_fields(health: &Value) -> Value {
    // ECS's defaults: a component.yaml has to state them.
    let number = |field: &str, default: u32| health.get(field).cloned().unwrap_or(json!(default));
    let mut fields = json!({
        "command": health["command"],
        "interval": number("interval", 30),
        "timeout": number("timeout", 5),
        "retries": number("retries", 3),
    });
    if let Some(start) = health.get("startPeriod") {
        fields["start_period"] = start.clone();
    }
    fields
}

fn size(container: &ContainerDefinition) -> String {
    let cpu = container.cpu.filter(|cpu| *cpu > 0);
    // The minimum of a container must be below its hard limit.
    let below = container.memory.map(|memory| memory.saturating_sub(1));
    let memory = container
        .memory_reservation
        .or(below)
        .filter(|memory| *memory >= 6);
    let guess = match (cpu, memory) {
        (Some(_), Some(_)) => "",
        (None, Some(_)) => " # cpu is a guess: the original sets none",
        (Some(_), None) => " # memory is a guess: the original sets none",
        (None, None) => " # a guess: the original sets neither",
    };

    let (cpu, memory) = (cpu.unwrap_or(32), memory.unwrap_or(64));
    format!("size: {{ cpu: {cpu}, memory: {memory} }}{guess}\n")
}

fn firelens(container: &ContainerDefinition, definition: &TaskDefinition) -> String {
    let Some(router) = &container.firelens_configuration else {
        return String::new();
    };
    let mut text = String::new();

    // A task has one log router; a rule reports a second one.
    let first = definition
        .container_definitions
        .iter()
        .find(|other| other.firelens_configuration.is_some());
    let kind = router.kind.as_str();

    if first.is_some_and(|first| first.name == container.name)
        && matches!(kind, "fluentbit" | "fluentd")
    {
        let mut fields = json!({ "type": kind });
        if !router.options.is_empty() {
            fields["options"] = json!(router.options);
        }
        fields["output"] = json!("log_output");
        text = yaml::entry("firelens", &fields, 0);
    }

    text
}

/// Returns the other fields unchanged; they are overlaid on the derived container.
fn other_fields(raw: &Value) -> String {
    let fields = raw.as_object().into_iter().flatten();
    let others: Map<String, Value> = fields
        .filter(|(name, _)| !COVERED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut text = String::new();

    if others.is_empty() {
        let _ = writeln!(
            text,
            "container: {{}} # entry point, command and user are the image's own"
        );
    } else {
        text += &yaml::entry("container", &Value::Object(others), 0);
    }

    text
}
