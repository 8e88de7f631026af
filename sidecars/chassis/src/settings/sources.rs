//! The sources of values: a file, a document, variables.

use std::{env, fs};

use figment::providers::{Format, Toml};
use serde_json::{Map, Value};

use super::{
    Problem, SettingKind, SettingSchema,
    name::{nearest, prefix, variable},
    schema::join,
};

/// The environment variables a component reads its settings from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    variables: Vec<(String, String)>,
}

/// A value of a setting and its dotted path.
#[derive(Debug, Clone)]
pub(super) struct SettingValue {
    pub(super) path: String,
    pub(super) value: Value,
}

/// The values of all sources, in order of precedence with the lowest first, and the problems found.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) values: Vec<SettingValue>,
    pub(super) problems: Vec<Problem>,
}

impl Sources {
    /// Reads the environment of this process.
    pub fn from_environment() -> Self {
        // A name that is not UTF-8 cannot be a setting; a value must not be dropped silently, so it is kept lossily.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        };
        Self {
            variables: env::vars_os().filter_map(text).collect(),
        }
    }

    /// Creates sources from the given variables, for tests.
    pub fn from_variables<N: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: variables.collect(),
        }
    }

    /// Returns the values for the settings in `schema`, and the problems of reading them.
    pub(super) fn layers(&self, component: &str, schema: &SettingSchema) -> Layers {
        let mut layers = Layers::default();
        self.file(component, schema, &mut layers);
        self.document(component, schema, &mut layers);
        self.single(component, schema, &mut layers);
        layers
    }

    fn file(&self, component: &str, schema: &SettingSchema, layers: &mut Layers) {
        let name = format!("{}SETTINGS_FILE", prefix(component));
        let Some(path) = self.value(&name).filter(|path| !path.is_empty()) else {
            return;
        };
        let read = fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                if is_json(path) {
                    json(&text)
                } else {
                    toml(&text)
                }
            });

        match read {
            Ok(document) => layers.take_document(document, &name, schema),
            Err(error) => layers.problems.push(Problem::new(
                name,
                format!("names `{path}`, which cannot be read: {error}"),
                "set the path of a TOML or JSON file that this process can read",
            )),
        }
    }

    fn document(&self, component: &str, schema: &SettingSchema, layers: &mut Layers) {
        let name = format!("{}SETTINGS", prefix(component));
        let Some(text) = self.value(&name).filter(|text| !text.is_empty()) else {
            return;
        };

        match json(text) {
            Ok(document) => layers.take_document(document, &name, schema),
            Err(error) => layers.problems.push(Problem::new(
                name,
                format!("is not a JSON document: {error}"),
                "write one JSON object, such as {\"log\":\"debug\"}",
            )),
        }
    }

    fn single(&self, component: &str, schema: &SettingSchema, layers: &mut Layers) {
        let prefix = prefix(component);
        let mut known = Vec::new();
        collect_variables(component, "", schema, &mut known);

        // Every variable with the prefix must be a setting, so that a misspelt one is an error.
        for (name, text) in self
            .variables
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
        {
            match known.iter().find(|(variable, ..)| variable == name) {
                Some((_, path, schema)) => layers.take_text(path, text, schema),
                // Read by `file` and `document` above.
                None if *name == format!("{prefix}SETTINGS") => {}
                None if *name == format!("{prefix}SETTINGS_FILE") => {}
                None => {
                    let names = known.iter().map(|(variable, ..)| variable.as_str());
                    layers
                        .problems
                        .push(unknown(name, nearest(name, names), component));
                }
            }
        }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Layers {
    fn take_document(&mut self, document: Value, origin: &str, schema: &SettingSchema) {
        if document.is_object() {
            self.take_value("", document, origin, schema);
        } else {
            self.problems.push(Problem::new(
                origin,
                "is not an object",
                "write one JSON object, such as {\"log\":\"debug\"}",
            ));
        }
    }

    /// Splits a value into the settings it contains.
    fn take_value(&mut self, path: &str, value: Value, origin: &str, schema: &SettingSchema) {
        match (&schema.kind, value) {
            // `null` leaves a setting at its lower-precedence value.
            (_, Value::Null) => {}
            (SettingKind::Group(members), Value::Object(values)) => {
                for (name, value) in values {
                    let below = join(path, &name);
                    if let Some(member) = members.get(&name) {
                        self.take_value(&below, value, origin, member);
                        continue;
                    }

                    let near = nearest(&name, members.keys().map(String::as_str));
                    let near = near.map(|near| join(path, near));
                    self.problems.push(unknown(&below, near.as_deref(), origin));
                }
            }
            (_, value) => self.values.push(SettingValue {
                path: path.to_owned(),
                value,
            }),
        }
    }

    /// Parses the text of a variable as the setting's type.
    fn take_text(&mut self, path: &str, text: &str, schema: &SettingSchema) {
        match coerce(text, &schema.kind) {
            Ok(value) => self.take_value(path, value, path, schema),
            Err(hint) => {
                let value = if schema.secret {
                    "this text"
                } else {
                    &format!("`{text}`")
                };
                self.problems
                    .push(Problem::new(path, format!("cannot be {value}"), hint));
            }
        }
    }
}

fn unknown(name: &str, near: Option<&str>, origin: &str) -> Problem {
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "remove it; `describe` lists the settings".to_owned(),
    };
    // For a variable, the name alone already identifies the source.
    let origin = if origin.ends_with("SETTINGS") || origin.ends_with("SETTINGS_FILE") {
        format!("in {origin} ")
    } else {
        String::new()
    };
    Problem::new(name, format!("{origin}is not a setting"), hint)
}

/// Collects every variable with the setting or group of settings it sets.
fn collect_variables<'a>(
    component: &str,
    path: &str,
    schema: &'a SettingSchema,
    known: &mut Vec<(String, String, &'a SettingSchema)>,
) {
    if !path.is_empty() {
        known.push((variable(component, path), path.to_owned(), schema));
    }
    if let SettingKind::Group(members) = &schema.kind {
        for (name, member) in members {
            collect_variables(component, &join(path, name), member, known);
        }
    }
}

fn coerce(text: &str, kind: &SettingKind) -> Result<Value, &'static str> {
    let trimmed = text.trim();
    match kind {
        SettingKind::String => Ok(text.into()),
        SettingKind::Integer => whole_number(trimmed).ok_or("write a whole number"),
        SettingKind::Number => trimmed
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| "write a number"),
        SettingKind::Boolean => match trimmed {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err("write `true` or `false`"),
        },
        // A string that begins with `[` is JSON, for items that contain commas.
        SettingKind::List { of_strings: true } if !trimmed.starts_with('[') => {
            Ok(comma_separated(trimmed))
        }
        SettingKind::List { .. } => json(trimmed).map_err(|_| "write a JSON array"),
        SettingKind::Map | SettingKind::Group(_) => {
            json(trimmed).map_err(|_| "write a JSON object")
        }
        SettingKind::Any => Ok(json(trimmed).unwrap_or_else(|_| text.into())),
    }
}

fn whole_number(text: &str) -> Option<Value> {
    let positive = text.parse::<u64>().map(Value::from);
    positive
        .or_else(|_| text.parse::<i64>().map(Value::from))
        .ok()
}

fn comma_separated(text: &str) -> Value {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn is_json(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "json")
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn toml(text: &str) -> Result<Value, String> {
    Toml::from_str::<Map<String, Value>>(text)
        .map(Value::Object)
        .map_err(|error| error.to_string())
}
