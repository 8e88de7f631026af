//! Compares `component.yaml` and the documentation with the binary's description.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use chassis::{Component, Description};
use serde_json::{Map, Value, json};
use telemetry_forwarder::TelemetryForwarder;

fn component() -> Value {
    serde_saphyr::from_str(include_str!("../component.yaml")).unwrap()
}

#[test]
fn component_yaml_matches_the_ports_of_describe() {
    let description = Description::from_component::<TelemetryForwarder>();
    let component = component();
    assert_eq!(component["name"], description.name);
    assert_eq!(component["summary"], TelemetryForwarder::SUMMARY);
    assert_eq!(
        component["admin"],
        json!({ "setting": "admin", "port": description.admin.port })
    );

    let mut provides = Map::new();
    for port in description.ports {
        let provided = json!({ "setting": port.setting, "port": port.port });
        provides.insert(port.name.to_string(), provided);
    }

    assert_eq!(component["provides"], Value::Object(provides));
}

#[test]
fn the_documentation_lists_every_setting() {
    let page = include_str!("../../../docs/telemetry-forwarder.md");
    for setting in Description::from_component::<TelemetryForwarder>().settings {
        // The rows of the table in the documentation, as `describe` would print them.
        let secret = if setting.secret { ", secret" } else { "" };
        let default = match &setting.default {
            None => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };

        let (name, kind, doc) = (setting.name, setting.kind, setting.doc);
        let row = format!("| `{name}` | {kind}{secret} | {default} | {doc} |");
        assert!(page.contains(&row), "{row}");
    }
}
