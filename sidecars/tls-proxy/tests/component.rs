//! `component.yaml` says the same as the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

use chassis::Description;
use serde_json::{Value, json};
use tls_proxy::TlsProxy;

fn component() -> Value {
    serde_saphyr::from_str(include_str!("../component.yaml")).unwrap()
}

#[test]
fn the_ports_are_those_of_describe() {
    let described = Description::from_component::<TlsProxy>();
    let component = component();
    assert_eq!(component["name"], described.name);
    assert_eq!(component["summary"], described.summary);
    assert_eq!(
        component["admin"],
        json!({ "setting": "admin", "port": described.admin.port })
    );
    let port = &described.ports[0];
    let provides = json!({ port.name: { "setting": port.setting, "port": port.port } });
    assert_eq!(component["provides"], provides);
}
