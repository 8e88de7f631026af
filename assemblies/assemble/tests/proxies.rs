//! Third-party proxies that create their configuration at start: runs the commands of their containers and
//! checks what they write.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use diagnostics::source::{Source, parse};
use task_definition::{ContainerDefinition, read};
use tempfile::TempDir;

/// Returns a container of a golden case of the crate `assembly`.
fn container(case: &str, name: &str) -> ContainerDefinition {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assembly/tests/cases");
    let text = fs::read_to_string(cases.join(case).join("expect/task-definition.json"));
    let source = Source::new(case, text.expect("a golden"));
    let definition = read(&source).expect("a definition").definition;
    definition.container(name).expect("the container").clone()
}

/// Runs the container's command with a fake program that prints its last argument, and returns the output.
fn run_command(container: &ContainerDefinition, program: &str, line: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let fake = folder.path().join(program);
    fs::write(
        &fake,
        "#!/bin/sh\nfor last; do :; done\nprintf '%s' \"$last\"\n",
    )
    .expect("a file");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("a program");

    let variables = container
        .environment
        .iter()
        .map(|variable| (&variable.name, &variable.value));
    let output = Command::new(&container.entry_point[0])
        .args(&container.entry_point[1..])
        // As in a container: only its own variables.
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
fn envoy_gets_listener_upstream_and_admin_address() {
    let envoy = container("envoy-and-adot", "envoy");
    let config = run_command(&envoy, "envoy", &envoy.command[0]);
    let config = parse(&Source::new("envoy.yaml", config))
        .expect("YAML")
        .to_json();
    let socket = |pointer: &str| {
        let socket = &config.pointer(pointer).expect(pointer)["socket_address"];
        let port = socket["port_value"].as_u64().expect("a port");
        format!("{}:{port}", socket["address"].as_str().expect("an address"))
    };

    let value = |name: &str| envoy.variable(name).expect(name).to_owned();
    assert_eq!(socket("/admin/address"), value("ENVOY_ADMIN"));
    assert_eq!(
        socket("/static_resources/listeners/0/address"),
        value("ENVOY_LISTEN")
    );
    let endpoint =
        "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
    assert_eq!(socket(endpoint), value("ENVOY_UPSTREAM"));
}

#[test]
fn nginx_replaces_its_own_variables_and_keeps_those_of_requests() {
    let nginx = container("nginx-and-datadog", "nginx");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("default.conf");
    let path = "/etc/nginx/conf.d/default.conf";

    assert!(nginx.command[0].contains(path));
    // The real path belongs to the image.
    let line = nginx.command[0].replace(path, &file.display().to_string());
    assert_eq!(run_command(&nginx, "nginx", &line), "daemon off;");

    let config = fs::read_to_string(file).expect("a configuration");
    for part in [
        "listen 0.0.0.0:8080;",
        "server 127.0.0.1:8081;",
        "client_max_body_size 32m;",
        // `$host` is a variable of nginx, not of the shell.
        "Host $host;",
        "listen 127.0.0.1:9911;",
        "(live|ready)$ {",
    ] {
        assert!(config.contains(part), "{part}\n{config}");
    }

    // A cheap check that no substitution broke the structure.
    assert_eq!(
        config.matches('{').count(),
        config.matches('}').count(),
        "{config}"
    );
}
