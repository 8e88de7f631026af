//! `component.yaml` and the program agree.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

use chassis::Description;
use serde_json::{Value, json};
use tls_proxy::TlsProxy;

fn component() -> Value {
    serde_saphyr::from_str(include_str!("../component.yaml")).unwrap()
}

#[test]
fn declares_the_ports_of_describe() {
    let description = Description::from_component::<TlsProxy>();
    let component = component();
    assert_eq!(component["name"], description.name);
    assert_eq!(component["summary"], description.summary);
    assert_eq!(
        component["admin"],
        json!({ "setting": "admin", "port": description.admin.port })
    );
    let port = &description.ports[0];
    let provides = json!({ port.name: { "setting": port.setting, "port": port.port } });
    assert_eq!(component["provides"], provides);
}
