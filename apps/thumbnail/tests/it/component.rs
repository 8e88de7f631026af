//! Compares `component.yaml`, the build script and the documentation with the binary.

use chassis::Description;
use serde_json::{Map, Value, json};
use thumbnail::{ErrorKind, Thumbnail};

fn component() -> Value {
    serde_saphyr::from_str(include_str!("../../component.yaml")).unwrap()
}

#[test]
fn component_yaml_matches_the_ports_of_describe() {
    let description = Description::from_component::<Thumbnail>();
    let component = component();
    assert_eq!(component["name"], description.name);
    assert_eq!(component["summary"], description.summary);

    let admin = json!({ "setting": "admin", "port": description.admin.port });
    assert_eq!(component["admin"], admin);
    let ports: Map<String, Value> = description
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
fn the_build_script_names_all_setup_packages() {
    let setup = component()["local"]["setup"].clone();
    let build = include_str!("../../build.rs");
    for package in setup.as_array().unwrap() {
        assert!(build.contains(package.as_str().unwrap()), "{package}");
    }
}

#[test]
fn the_documentation_lists_every_error_kind_with_its_codes() {
    let page = include_str!("../../../../docs/thumbnail.md");
    for kind in ErrorKind::ALL {
        let (exit, name, status) = (kind.exit_code(), kind.name(), kind.status().as_u16());
        let row = format!("| {exit} | `{name}` | {status} |");
        assert!(page.contains(&row), "{row}");
    }
}
