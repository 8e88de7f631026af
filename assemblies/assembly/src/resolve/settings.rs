//! The settings of a member: known names, right kinds, nothing missing, secrets kept apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use task_definition::{Finding, Place, escape, nearest};

use crate::component::Component;
use crate::manifest::Manifest;
use crate::rules;
use crate::text::meant;

/// A setting as the container's environment will have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A secret as the container's definition will name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub(crate) value_from: String,
    pub(crate) place: Place,
}

type Settings = BTreeMap<String, Setting>;
type Secrets = BTreeMap<String, Secret>;

/// What the manifest says about a component, checked against what the component says about itself.
pub(super) fn settings(
    component: &Component,
    manifest: &Manifest,
    named: &Place,
    findings: &mut Vec<Finding>,
) -> (Settings, Secrets) {
    let name = component.name();
    let (settings, meant) = (Settings::new(), Vec::new());
    let mut reader = Reader {
        component,
        manifest,
        settings,
        meant,
        findings,
    };

    if let Some(given) = manifest.file().settings.get(name) {
        reader.map(given, "", &format!("/settings/{}", escape(name)));
    }

    let (settings, meant) = (reader.settings, reader.meant);
    let secrets = secrets(component, manifest, &settings, findings);
    for (setting, declared) in &component.file().settings {
        let given = settings.contains_key(setting) || secrets.contains_key(setting);
        // What the wiring gives need not be given here.
        let wired = component
            .file()
            .requires
            .values()
            .any(|one| one.setting == *setting);

        if declared.required && !given && !wired && !meant.contains(setting) {
            let (place, doc) = (named.clone(), declared.doc.trim_end_matches('.'));
            findings.push(if declared.secret {
                rules::m12_missing_setting::missing_secret(place, name, setting, doc)
            } else {
                rules::m12_missing_setting::missing_setting(place, name, setting, doc)
            });
        }
    }

    for choice in &component.file().one_of {
        let given = |setting: &String| {
            settings.contains_key(setting)
                || secrets.contains_key(setting)
                || meant.contains(setting)
        };
        if let (false, [first, others @ ..]) = (choice.iter().any(given), &choice[..]) {
            let place = named.clone();
            findings.push(rules::m12_missing_setting::missing_choice(
                place, name, first, others,
            ));
        }
    }

    (settings, secrets)
}

struct Reader<'a> {
    component: &'a Component,
    manifest: &'a Manifest,
    settings: Settings,
    /// Settings that were given, but wrongly: they have had their finding.
    meant: Vec<String>,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    /// A map of settings; one that is nested in the program may be nested here.
    fn map(&mut self, given: &Map<String, Value>, prefix: &str, pointer: &str) {
        for (key, value) in given {
            let setting = format!("{prefix}{key}");
            let below = format!("{pointer}/{}", escape(key));
            let inner = format!("{setting}.");
            let declared = &self.component.file().settings;

            match (declared.get(&setting), value) {
                (Some(_), _) => self.value(&setting, value, &below),
                (None, Value::Object(map))
                    if declared.keys().any(|one| one.starts_with(&inner)) =>
                {
                    self.map(map, &inner, &below);
                }
                (None, _) => {
                    let place = self.manifest.key_place(pointer, key);
                    let hint = meant(&setting, declared.keys().map(String::as_str));
                    let name = self.component.name();
                    let near = nearest(&setting, declared.keys().map(String::as_str));

                    self.meant.extend(near.map(str::to_owned));
                    self.findings
                        .push(rules::m10_unknown_setting::unknown_setting(
                            place, name, &setting, &hint,
                        ));
                }
            }
        }
    }

    fn value(&mut self, setting: &str, value: &Value, pointer: &str) {
        let place = self.manifest.place(pointer);
        let name = self.component.name();
        let Some(declared) = self.component.file().settings.get(setting) else {
            return;
        };

        self.meant.push(setting.to_owned());
        if declared.secret {
            self.findings
                .push(rules::m13_plaintext_secret::plain_secret(
                    place, name, setting,
                ));
            return;
        }

        if let Some(text) = declared.kind.text(value) {
            let fault = declared.check(value);
            self.findings.extend(fault.map(|fault| {
                rules::m28_invalid_setting_value::invalid_value(place.clone(), name, setting, fault)
            }));
            self.settings
                .insert(setting.to_owned(), Setting { text, place });
        } else {
            let (wanted, found) = (declared.kind.description(), kind(value));
            self.findings
                .push(rules::m11_wrong_setting_type::wrong_kind(
                    place, name, setting, wanted, found,
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
            let place = manifest.key_place(&pointer, setting);
            let known = declared.iter().filter(|(_, one)| one.secret);
            let hint = meant(setting, known.map(|(known, _)| known.as_str()));
            findings.push(rules::m10_unknown_setting::unknown_setting(
                place, name, setting, &hint,
            ));
            continue;
        }

        let place = manifest.place(&format!("{pointer}/{}", escape(setting)));
        if settings.contains_key(setting) {
            findings.push(rules::m13_plaintext_secret::setting_and_secret(
                place.clone(),
                name,
                setting,
            ));
        }

        // A plain setting may well be kept secret.
        secrets.insert(
            setting.clone(),
            Secret {
                value_from: value_from.clone(),
                place,
            },
        );
    }

    secrets
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
