//! Formats a draft as a manifest.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{Draft, DraftContainer};
use crate::component::Kind;
use crate::yaml;

impl Draft {
    /// Formats the manifest.
    pub(in crate::import) fn manifest(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=schema/assembly.json\n\
             # Imported from {}: with `--values {}` it renders to the same task definition.\n",
            self.file, self.name
        );

        text += &yaml::entry("name", &json!(self.name), 0);
        text += &yaml::entry("summary", &json!(format!("Imported from {}", self.file)), 0);
        let names_of = |kind: Kind| -> Vec<&str> {
            let members = self.members.iter().filter(|member| member.kind == kind);
            members.map(|member| member.component.as_str()).collect()
        };

        text += &yaml::entry("app", &json!(names_of(Kind::App).first()), 0);
        let lists = [
            ("ingress", Kind::Proxy),
            ("sidecars", Kind::Sidecar),
            ("init", Kind::Init),
        ];

        for (field, kind) in lists {
            let names = names_of(kind);
            if !names.is_empty() {
                text += &yaml::entry(field, &json!(names), 0);
            }
        }

        // The default order of the assembler; any other needs `order`.
        let default_order = [Kind::Proxy, Kind::App, Kind::Sidecar, Kind::Init]
            .map(names_of)
            .concat();
        let order: Vec<&str> = self
            .members
            .iter()
            .map(|member| member.component.as_str())
            .collect();

        if order != default_order {
            text += &yaml::entry("order", &json!(order), 0);
        }
        text += &self.format_section("settings", |member| &member.settings);
        text += &self.format_section("secrets", |member| &member.secrets);
        text += "\n# The definition does not contain the number of tasks.\nservice: {}\n";
        if !self.size.is_empty() {
            text += &yaml::entry("size", &Value::Object(self.size.clone()), 0);
        }

        text + &self.format_overrides() + &self.format_patch() + &self.format_rules()
    }

    fn format_section(
        &self,
        name: &str,
        entries: impl Fn(&DraftContainer) -> &Map<String, Value>,
    ) -> String {
        let members = self
            .members
            .iter()
            .filter(|member| !entries(member).is_empty());
        let lines: String = members
            .map(|member| {
                let value = self
                    .context
                    .parametrise(&Value::Object(entries(member).clone()));
                yaml::entry(&member.component, &value, 2)
            })
            .collect();
        with_heading(&format!("\n{name}:\n"), lines)
    }

    fn format_overrides(&self) -> String {
        let mut lines = String::new();
        for member in self
            .members
            .iter()
            .filter(|member| !member.overrides.is_empty())
        {
            let _ = writeln!(lines, "  {}:", member.component);
            // Consecutive fields with the same reason share a comment.
            let mut last = "";
            let mut fields: Vec<_> = member.overrides.iter().collect();
            fields.sort_by_key(|(field, _)| {
                ORDER
                    .iter()
                    .position(|name| name == field)
                    .unwrap_or(ORDER.len())
            });

            for (field, value) in fields {
                let why = why(field, value);
                if why != last {
                    let _ = writeln!(lines, "    # {why}");
                }
                last = why;
                lines += &yaml::entry(field, &self.context.parametrise(value), 4);
            }
        }

        let head = "\n# Derived fields that differ from the original. Remove a line to use the derived value.\noverrides:\n";
        with_heading(head, lines)
    }

    fn format_patch(&self) -> String {
        let lines = self.patch.iter().map(|(field, value)| {
            let value = self.context.parametrise(value);
            yaml::entry(field, &value, 2)
        });
        let head = "\n# Fields of the task that no other field of the manifest sets.\npatch:\n";
        with_heading(head, lines.collect())
    }

    fn format_rules(&self) -> String {
        let lines = self.lowered.iter().map(|(rule, message)| {
            let reason = format!("as imported from {}: {message}", self.file).replace("${", "$${");
            yaml::entry(rule, &json!({ "severity": "warning", "reason": reason }), 2)
        });
        let head = "\n# Errors of the original. Fix them, then remove the lines.\nrules:\n";
        with_heading(head, lines.collect())
    }
}

fn with_heading(head: &str, lines: String) -> String {
    if lines.is_empty() {
        lines
    } else {
        format!("{head}{lines}")
    }
}

/// The order of overridden fields; all others follow.
const ORDER: [&str; 8] = [
    "name",
    "image",
    "cpu",
    "memory",
    "memoryReservation",
    "essential",
    "restartPolicy",
    "dependsOn",
];

/// Returns the comment above an overridden field.
fn why(field: &str, value: &Value) -> &'static str {
    match (field, value) {
        ("name", _) => "the name of the container in the original",
        ("image", _) => "the image reference of the original",
        ("cpu" | "memory" | "memoryReservation", Value::Null) => "the original does not set it",
        ("cpu" | "memory" | "memoryReservation", _) => "the value of the original",
        ("dependsOn", Value::Null) => "the original starts it without waiting",
        ("dependsOn", _) => "the order of the original",
        ("essential" | "restartPolicy", _) => {
            "whether the task ends with it, and whether it is restarted"
        }
        ("logConfiguration", Value::Null) => "the original does not log it",
        ("logConfiguration", _) => "its log destination",
        ("portMappings", _) => "the port mappings of the original",
        ("mountPoints" | "volumesFrom", _) => "the mounts of the original",
        ("environment" | "secrets" | "environmentFiles", _) => "variables that are not settings",
        (_, Value::Null) => "the original does not have it",
        _ => "as in the original",
    }
}
