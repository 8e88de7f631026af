//! `component.yaml` says the same as the program.
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
fn the_ports_are_those_of_describe() {
    let described = Description::of::<TelemetryForwarder>();
    let component = component();
    assert_eq!(component["name"], described.name);
    assert_eq!(component["summary"], TelemetryForwarder::SUMMARY);
    assert_eq!(
        component["admin"],
        json!({ "setting": "admin", "port": described.admin.port })
    );

    let mut provides = Map::new();
    for port in described.ports {
        let place = json!({ "setting": port.setting, "port": port.port });
        provides.insert(port.name.to_string(), place);
    }

    assert_eq!(component["provides"], Value::Object(provides));
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = include_str!("../README.md");
    for setting in Description::of::<TelemetryForwarder>().settings {
        let secret = if setting.secret { ", secret" } else { "" };
        let default = match &setting.default {
            None => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(other) => format!("`{other}`"),
        };

        let (name, kind, doc) = (setting.name, setting.kind, setting.doc);
        let row = format!("| `{name}` | {kind}{secret} | {default} | {doc} |");
        assert!(readme.contains(&row), "{row}");
    }
}
