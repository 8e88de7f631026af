//! Checks the settings of a member: known names, types, required settings, secrets.

use std::collections::BTreeMap;

use diagnostics::{Finding, Location, escape, nearest};
use serde_json::{Map, Value};

use crate::component::Component;
use crate::manifest::Manifest;
use crate::rules;
use crate::text::suggest;

/// A setting's value as text for the container's environment, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub(crate) text: String,
    pub(crate) location: Location,
}

/// A secret's `valueFrom`, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub(crate) value_from: String,
    pub(crate) location: Location,
}

type Settings = BTreeMap<String, Setting>;
type Secrets = BTreeMap<String, Secret>;

/// Checks the settings of the manifest against the component's declarations and returns them.
pub(super) fn settings(
    component: &Component,
    manifest: &Manifest,
    named: &Location,
    findings: &mut Vec<Finding>,
) -> (Settings, Secrets) {
    let name = component.name();
    let (settings, attempted) = (Settings::new(), Vec::new());
    let mut reader = Reader {
        component,
        manifest,
        settings,
        attempted,
        findings,
    };

    if let Some(given) = manifest.file().settings.get(name) {
        reader.map(given, "", &format!("/settings/{}", escape(name)));
    }

    let (settings, attempted) = (reader.settings, reader.attempted);
    let secrets = secrets(component, manifest, &settings, findings);
    for (setting, declared) in &component.file().settings {
        let given = settings.contains_key(setting) || secrets.contains_key(setting);
        // The wiring sets the addresses of required interfaces, so the manifest need not.
        let wired = component
            .file()
            .requires
            .values()
            .any(|required| required.setting == *setting);

        if declared.required && !given && !wired && !attempted.contains(setting) {
            let (location, doc) = (named.clone(), declared.doc.trim_end_matches('.'));
            findings.push(if declared.secret {
                rules::m12_missing_setting::missing_secret(location, name, setting, doc)
            } else {
                rules::m12_missing_setting::missing_setting(location, name, setting, doc)
            });
        }
    }

    // `one_of`: at least one setting of each group must be set.
    for choice in &component.file().one_of {
        let given = |setting: &String| {
            settings.contains_key(setting)
                || secrets.contains_key(setting)
                || attempted.contains(setting)
        };
        if let (false, [first, others @ ..]) = (choice.iter().any(given), &choice[..]) {
            let location = named.clone();
            findings.push(rules::m12_missing_setting::missing_choice(
                location, name, first, others,
            ));
        }
    }

    (settings, secrets)
}

struct Reader<'a> {
    component: &'a Component,
    manifest: &'a Manifest,
    settings: Settings,
    /// Settings with an invalid or misspelt entry: they have their finding, so they are not reported
    /// as missing too.
    attempted: Vec<String>,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    /// Reads a map of settings. `a.b` may be written as a nested map.
    fn map(&mut self, given: &Map<String, Value>, prefix: &str, pointer: &str) {
        for (key, value) in given {
            let setting = format!("{prefix}{key}");
            let below = format!("{pointer}/{}", escape(key));
            let inner = format!("{setting}.");
            let declared = &self.component.file().settings;

            // A declared setting of type map is a value; only an undeclared map is descended into.
            match (declared.get(&setting), value) {
                (Some(_), _) => self.value(&setting, value, &below),
                (None, Value::Object(map))
                    if declared.keys().any(|name| name.starts_with(&inner)) =>
                {
                    self.map(map, &inner, &below);
                }
                (None, _) => {
                    let location = self.manifest.key_location(pointer, key);
                    let hint = suggest(&setting, declared.keys().map(String::as_str));
                    let name = self.component.name();
                    let near = nearest(&setting, declared.keys().map(String::as_str));

                    self.attempted.extend(near.map(str::to_owned));
                    self.findings
                        .push(rules::m10_unknown_setting::unknown_setting(
                            location, name, &setting, &hint,
                        ));
                }
            }
        }
    }

    fn value(&mut self, setting: &str, value: &Value, pointer: &str) {
        let location = self.manifest.location(pointer);
        let name = self.component.name();
        let Some(declared) = self.component.file().settings.get(setting) else {
            return;
        };

        self.attempted.push(setting.to_owned());
        if declared.secret {
            self.findings
                .push(rules::m13_plaintext_secret::plain_secret(
                    location, name, setting,
                ));
            return;
        }

        if let Some(text) = declared.kind.text(value) {
            // The value is kept despite the finding: its type is right, so later stages can use it.
            let invalid = declared.check(value);
            self.findings.extend(invalid.map(|invalid| {
                rules::m28_invalid_setting_value::invalid_value(
                    location.clone(),
                    name,
                    setting,
                    invalid,
                )
            }));
            self.settings
                .insert(setting.to_owned(), Setting { text, location });
        } else {
            let (expected, found) = (declared.kind.description(), describe_type(value));
            self.findings
                .push(rules::m11_wrong_setting_type::wrong_kind(
                    location, name, setting, expected, found,
                ));
        }
    }
}

fn secrets(
    component: &Component,
    manifest: &Manifest,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Secrets {
    let name = component.name();
    let pointer = format!("/secrets/{}", escape(name));
    let mut secrets = Secrets::new();
    for (setting, value_from) in manifest.file().secrets.get(name).into_iter().flatten() {
        let declared = &component.file().settings;
        if !declared.contains_key(setting) {
            let location = manifest.key_location(&pointer, setting);
            let secret_settings = declared
                .iter()
                .filter(|(_, declaration)| declaration.secret);
            let hint = suggest(setting, secret_settings.map(|(name, _)| name.as_str()));
            findings.push(rules::m10_unknown_setting::unknown_setting(
                location, name, setting, &hint,
            ));
            continue;
        }

        let location = manifest.location(&format!("{pointer}/{}", escape(setting)));
        if settings.contains_key(setting) {
            findings.push(rules::m13_plaintext_secret::setting_and_secret(
                location.clone(),
                name,
                setting,
            ));
        }

        // Settings that are not declared secret may be given as secrets as well.
        secrets.insert(
            setting.clone(),
            Secret {
                value_from: value_from.clone(),
                location,
            },
        );
    }

    secrets
}

fn describe_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
