//! What a component says about itself, as JSON: the other half of the house reads only this.

use serde::Serialize;
use serde_json::Value;

use crate::{
    Common, Component, Settings, Verb,
    settings::{SettingSchema, schema_for, variable},
};

/// Everything `describe` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// The component's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Where it answers `/live` and `/ready`.
    pub admin: AdminDescription,
    /// The ports it listens on with its defaults.
    pub ports: Vec<PortDescription>,
    /// The verbs of its own.
    pub verbs: &'static [Verb],
    /// Its settings, in order of name.
    pub settings: Vec<SettingDescription>,
}

/// The admin port, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct AdminDescription {
    /// The setting that moves it.
    pub setting: &'static str,
    /// The default port.
    pub port: u16,
}

/// A port, as `describe` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct PortDescription {
    /// The interface offered there.
    pub name: &'static str,
    /// The setting that moves it.
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
    /// JSON Schema's word for what it takes.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The default, where there is one to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The words it can be, or the items of a list can be, where they are counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The least it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Value>,
    /// The most it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Value>,
    /// What its text looks like: `address` (`127.0.0.1:8080`), `duration` (`30s`), `uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The kind of a list's items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<&'static str>,
    /// Whether it must not be seen.
    pub secret: bool,
    /// Whether the component cannot do without it.
    pub required: bool,
    /// What it is.
    pub doc: String,
}

impl Description {
    /// The description of a component, made from its `Config` type alone.
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
    // What the defaults alone lack is what must be set; another setting may do where they say it otherwise.
    let lacking: Vec<String> = defaults
        .problems()
        .into_iter()
        .filter(|problem| problem.message == REQUIRED)
        .map(|problem| problem.setting)
        .collect();

    let mut all = setting_descriptions::<C>(&schema_for::<Common>(), &to_value(&common), &[]);
    all.extend(setting_descriptions::<C>(
        &schema_for::<C::Config>(),
        &to_value(defaults),
        &lacking,
    ));

    // Where it listens is an address, as the schema does not say.
    let ports = C::ports(defaults).into_iter().map(|port| port.setting);
    let listening: Vec<&str> = ports.chain(["admin"]).collect();
    for setting in &mut all {
        if listening.contains(&setting.name.as_str()) {
            setting.format = Some("address".to_owned());
        }
    }

    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// How [`Settings::problems`](crate::Settings::problems) says that there is no doing without a setting.
const REQUIRED: &str = "is required";

fn setting_descriptions<C: Component>(
    schema: &SettingSchema,
    defaults: &Value,
    lacking: &[String],
) -> Vec<SettingDescription> {
    let mut found = Vec::new();
    schema.each_leaf("", &mut |name, schema| {
        let required = lacking.contains(&name);
        let default =
            at(defaults, &name).filter(|value| !schema.secret && !required && !value.is_null());
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
            required,
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
