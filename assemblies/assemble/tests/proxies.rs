//! The configurations that the proxies of others write for themselves at the start, written here by the very
//! commands that their containers have.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use task_definition::source::{Source, parse};
use task_definition::{ContainerDefinition, read};
use tempfile::TempDir;

/// A container of a golden case of the assembler.
fn container(case: &str, name: &str) -> ContainerDefinition {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assembly/tests/cases");
    let text = fs::read_to_string(cases.join(case).join("expect/task-definition.json"));
    let source = Source::new(case, text.expect("a golden"));
    let definition = read(&source).expect("a definition").definition;
    definition.container(name).expect("the container").clone()
}

/// Runs its command with a program of that name that prints its last argument; answers what it printed.
fn started(container: &ContainerDefinition, program: &str, line: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let stand_in = folder.path().join(program);
    fs::write(
        &stand_in,
        "#!/bin/sh\nfor last; do :; done\nprintf '%s' \"$last\"\n",
    )
    .expect("a file");
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).expect("a program");

    let variables = container
        .environment
        .iter()
        .map(|one| (&one.name, &one.value));
    let output = Command::new(&container.entry_point[0])
        .args(&container.entry_point[1..])
        .arg(line)
        .env_clear()
        .envs(variables)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .output()
        .expect("a shell");

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn envoy_is_given_listener_upstream_and_admin_address() {
    let envoy = container("envoy-and-adot", "envoy");
    let config = started(&envoy, "envoy", &envoy.command[0]);
    let config = parse(&Source::new("envoy.yaml", config))
        .expect("YAML")
        .to_json();
    let socket = |pointer: &str| {
        let socket = &config.pointer(pointer).expect(pointer)["socket_address"];
        let port = socket["port_value"].as_u64().expect("a port");
        format!("{}:{port}", socket["address"].as_str().expect("an address"))
    };

    let said = |name: &str| envoy.variable(name).expect(name).to_owned();
    assert_eq!(socket("/admin/address"), said("ENVOY_ADMIN"));
    assert_eq!(
        socket("/static_resources/listeners/0/address"),
        said("ENVOY_LISTEN")
    );
    let endpoint =
        "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
    assert_eq!(socket(endpoint), said("ENVOY_UPSTREAM"));
}

#[test]
fn nginx_writes_its_own_variables_and_leaves_those_of_requests() {
    let nginx = container("nginx-and-datadog", "nginx");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("default.conf");
    let path = "/etc/nginx/conf.d/default.conf";

    assert!(nginx.command[0].contains(path));
    let line = nginx.command[0].replace(path, &file.display().to_string());
    assert_eq!(started(&nginx, "nginx", &line), "daemon off;");

    let config = fs::read_to_string(file).expect("a configuration");
    for part in [
        "listen 0.0.0.0:8080;",
        "server 127.0.0.1:8081;",
        "client_max_body_size 32m;",
        "Host $host;",
        "listen 127.0.0.1:9911;",
        "(live|ready)$ {",
    ] {
        assert!(config.contains(part), "{part}\n{config}");
    }

    assert_eq!(
        config.matches('{').count(),
        config.matches('}').count(),
        "{config}"
    );
}
