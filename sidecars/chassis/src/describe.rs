//! The description of a component as JSON, which `assemble` compares with its `component.yaml`.

use serde::Serialize;
use serde_json::Value;

use crate::{
    Common, Component, Settings, Verb,
    settings::{SettingSchema, schema_for, variable},
};

/// The output of `describe`.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// The component's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// One sentence that describes what the component does.
    pub summary: &'static str,
    /// The port that answers `/live` and `/ready`.
    pub admin: AdminDescription,
    /// The ports the component listens on by default.
    pub ports: Vec<PortDescription>,
    /// The verbs besides the common ones.
    pub verbs: &'static [Verb],
    /// The settings, sorted by name.
    pub settings: Vec<SettingDescription>,
}

/// The admin port, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct AdminDescription {
    /// The setting that changes the port.
    pub setting: &'static str,
    /// The default port.
    pub port: u16,
}

/// A port, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct PortDescription {
    /// The interface offered on the port.
    pub name: &'static str,
    /// The setting that changes the port.
    pub setting: &'static str,
    /// The default port.
    pub port: u16,
}

/// A setting, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct SettingDescription {
    /// The dotted path.
    pub name: String,
    /// The environment variable.
    pub env: String,
    /// The type, as JSON Schema names it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The default, unless the setting is required, secret or unset by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The accepted values of an enum, or of the items of a list of enums.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The minimum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The maximum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// The format of a string: `address` (`127.0.0.1:8080`), `duration` (`30s`), `uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The type of a list's items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<&'static str>,
    /// Whether the value must never be printed.
    pub secret: bool,
    /// Whether the component fails to start without it.
    pub required: bool,
    /// The documentation.
    pub doc: String,
}

impl Description {
    /// Describes a component from its `Config` type alone.
    pub fn from_component<C: Component>() -> Self {
        let defaults = C::Config::default();
        let ports = C::ports(&defaults).into_iter().map(|port| PortDescription {
            name: port.name,
            setting: port.setting,
            port: port.address.port(),
        });

        Self {
            name: C::NAME,
            version: C::VERSION,
            summary: C::SUMMARY,
            admin: AdminDescription {
                setting: "admin",
                port: C::ADMIN_PORT,
            },
            ports: ports.collect(),
            verbs: C::verbs(),
            settings: settings::<C>(&defaults),
        }
    }
}

fn settings<C: Component>(defaults: &C::Config) -> Vec<SettingDescription> {
    let common = Common::with_admin_port(C::ADMIN_PORT);
    // A setting is required if validating the defaults alone reports exactly that; a setting that has
    // an alternative is reported with another message.
    let required: Vec<String> = defaults
        .problems()
        .into_iter()
        .filter(|problem| problem.message == REQUIRED)
        .map(|problem| problem.setting)
        .collect();

    let mut all = setting_descriptions::<C>(&schema_for::<Common>(), &to_value(&common), &[]);
    all.extend(setting_descriptions::<C>(
        &schema_for::<C::Config>(),
        &to_value(defaults),
        &required,
    ));

    // schemars gives a `SocketAddr` no format, so addresses to listen on are recognized by their port.
    let ports = C::ports(defaults).into_iter().map(|port| port.setting);
    let listening: Vec<&str> = ports.chain(["admin"]).collect();
    for setting in &mut all {
        if listening.contains(&setting.name.as_str()) {
            setting.format = Some("address".to_owned());
        }
    }

    // Sorted, so that it can be compared with `component.yaml` line by line.
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The message with which [`Settings::problems`](crate::Settings::problems) reports a required setting.
const REQUIRED: &str = "is required";

fn setting_descriptions<C: Component>(
    schema: &SettingSchema,
    defaults: &Value,
    required: &[String],
) -> Vec<SettingDescription> {
    let mut found = Vec::new();
    schema.each_leaf("", &mut |name, schema| {
        let is_required = required.contains(&name);
        let default =
            at(defaults, &name).filter(|value| !schema.secret && !is_required && !value.is_null());
        let constraints = schema.constraints.clone();

        found.push(SettingDescription {
            env: variable(C::NAME, &name),
            kind: schema.kind.as_str(),
            default: default.cloned(),
            choices: constraints.choices,
            min: constraints.min,
            max: constraints.max,
            format: constraints.format,
            items: constraints.items,
            secret: schema.secret,
            required: is_required,
            doc: schema.doc.clone(),
            name,
        });
    });

    found
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, name| value.get(name))
}

fn to_value(settings: &impl Serialize) -> Value {
    serde_json::to_value(settings).unwrap_or_default()
}
