//! `component.yaml` says the same as the program.

use chassis::Description;
use serde_json::{Map, Value, json};
use thumbnail::{Kind, Thumbnail};

fn component() -> Value {
    serde_saphyr::from_str(include_str!("../../component.yaml")).unwrap()
}

#[test]
fn the_ports_are_those_of_describe() {
    let described = Description::of::<Thumbnail>();
    let component = component();
    assert_eq!(component["name"], described.name);
    assert_eq!(component["summary"], described.summary);

    let admin = json!({ "setting": "admin", "port": described.admin.port });
    assert_eq!(component["admin"], admin);
    let ports: Map<String, Value> = described
        .ports
        .iter()
        .map(|port| {
            (
                port.name.into(),
                json!({ "setting": port.setting, "port": port.port }),
            )
        })
        .collect();
    assert_eq!(component["provides"], Value::Object(ports));
}

#[test]
fn the_packages_it_needs_are_those_that_the_build_names() {
    let setup = component()["local"]["setup"].clone();
    let build = include_str!("../../build.rs");
    for package in setup.as_array().unwrap() {
        assert!(build.contains(package.as_str().unwrap()), "{package}");
    }
}

#[test]
fn the_readme_lists_every_class_with_its_codes() {
    let readme = include_str!("../../README.md");
    for kind in Kind::ALL {
        let (exit, name, status) = (kind.exit_code(), kind.name(), kind.status().as_u16());
        let row = format!("| {exit} | `{name}` | {status} |");
        assert!(readme.contains(&row), "{row}");
    }
}
