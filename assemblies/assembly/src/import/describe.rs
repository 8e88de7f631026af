//! The `component.yaml` of a container that no component describes yet.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use task_definition::{ContainerDefinition, TaskDefinition};

use super::account_context::AccountContext;
use super::overlay_diff::have_unique_names;
use super::yaml;
use crate::component::Kind;

/// Fields that the manifest speaks of, or that have a word of their own in `component.yaml`.
const ELSEWHERE: [&str; 18] = [
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

/// The text of the file.
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
    let word = match kind {
        Kind::App => "app",
        Kind::Init => "init",
        _ => "sidecar",
    };

    let summary = format!("The container {} of {family}", container.name);
    for (key, value) in [
        ("name", json!(name)),
        ("kind", json!(word)),
        ("summary", json!(summary)),
        ("image", json!(context.parametrise_image(&container.image))),
    ] {
        text += &yaml::entry(key, &value, 0);
    }

    if kind == Kind::App {
        text += &provides(container);
    }
    text += &settings(container);
    if let Some(health) = raw.get("healthCheck").filter(|one| is_whole(one)) {
        text += &yaml::entry("health", &health_words(health), 0);
    }

    text += &size(container);
    let stop = container.stop_timeout.unwrap_or(30);
    text += &yaml::entry("stop", &json!({ "timeout": stop }), 0);
    text += &firelens(container, definition);
    text += &facts(&raw);
    if kind != Kind::App {
        text += "local: skip # `assemble up` leaves it out; give it a program to run it\n";
    }

    text
}

fn provides(container: &ContainerDefinition) -> String {
    let mappings = container.port_mappings.iter();
    let mut tcp = mappings.filter(|one| one.protocol.as_deref() != Some("udp"));
    let Some((mapping, port)) = tcp.find_map(|one| Some((one, one.container_port?))) else {
        return String::new();
    };
    let interface = mapping.name.as_deref().unwrap_or("http");
    let mut words = json!({ "port": port });
    let protocols = ["http", "http2", "grpc"];

    if let Some(protocol) = &mapping.app_protocol
        && protocols.contains(&protocol.as_str())
    {
        words["app_protocol"] = json!(protocol);
    }

    if u16::try_from(port).is_err() || port == 0 {
        return String::new();
    }
    yaml::entry("provides", &json!({ interface: words }), 0)
}

/// The variables as settings: what they are for, the definition does not say.
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
        let mut words = json!({ "type": "string", "env": variable });
        if secret {
            words["secret"] = json!(true);
        }
        text += &yaml::entry(&setting, &words, 2);
    }

    if container.firelens_configuration.is_some() {
        text +=
            "  log_output: { type: object, default: {}, doc: \"Where everybody's lines go.\" }\n";
    }

    text
}

/// A variable that becomes a setting.
pub(super) struct DeclaredVariable {
    pub(super) setting: String,
    pub(super) variable: String,
    pub(super) secret: bool,
}

/// Variables that a manifest can say. Where a name comes twice, the whole list is overridden instead.
pub(super) fn declare_variables(container: &ContainerDefinition) -> Vec<DeclaredVariable> {
    if !can_be_settings(container) {
        return Vec::new();
    }

    let plain = container.environment.iter().map(|one| (&one.name, false));
    let secret = container.secrets.iter().map(|one| (&one.name, true));
    let mut all: Vec<DeclaredVariable> = Vec::new();

    for (variable, secret) in plain.chain(secret) {
        let letters = variable.to_ascii_lowercase();
        let setting = letters.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let taken = all.iter().any(|one| one.setting == setting) || setting == "log_output";
        let setting = if taken || setting.is_empty() {
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

/// Whether every variable has a name and no name comes twice, in both lists together.
pub(super) fn can_be_settings(container: &ContainerDefinition) -> bool {
    let plain = container
        .environment
        .iter()
        .map(|one| json!({ "name": one.name }));
    let secret = container
        .secrets
        .iter()
        .map(|one| json!({ "name": one.name }));
    let all: Vec<Value> = plain.chain(secret).collect();
    all.is_empty() || (have_unique_names(&all) && all.iter().all(|one| one["name"] != ""))
}

/// What is not begun with `CMD` or `CMD-SHELL` would be read as arguments of the program.
fn is_whole(health: &Value) -> bool {
    matches!(health["command"][0].as_str(), Some("CMD" | "CMD-SHELL"))
}

fn health_words(health: &Value) -> Value {
    let number = |field: &str, usual: u32| health.get(field).cloned().unwrap_or(json!(usual));
    let mut words = json!({
        "command": health["command"],
        "interval": number("interval", 30),
        "timeout": number("timeout", 5),
        "retries": number("retries", 3),
    });
    if let Some(start) = health.get("startPeriod") {
        words["start_period"] = start.clone();
    }
    words
}

fn size(container: &ContainerDefinition) -> String {
    let cpu = container.cpu.filter(|cpu| *cpu > 0);
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

    // One router's place is all there is; what is wrong with a second is a rule's to say.
    let first = definition
        .container_definitions
        .iter()
        .find(|one| one.firelens_configuration.is_some());
    let kind = router.kind.as_str();

    if first.is_some_and(|one| one.name == container.name)
        && matches!(kind, "fluentbit" | "fluentd")
    {
        let mut words = json!({ "type": kind });
        if !router.options.is_empty() {
            words["options"] = json!(router.options);
        }
        words["output"] = json!("log_output");
        text = yaml::entry("firelens", &words, 0);
    }

    text
}

/// All else is laid over the container as it stands.
fn facts(raw: &Value) -> String {
    let fields = raw.as_object().into_iter().flatten();
    let facts: Map<String, Value> = fields
        .filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut text = String::new();

    if facts.is_empty() {
        let _ = writeln!(
            text,
            "container: {{}} # entry point, command and user are the image's own"
        );
    } else {
        text += &yaml::entry("container", &Value::Object(facts), 0);
    }

    text
}
