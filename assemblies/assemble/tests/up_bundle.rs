//! `assemble up` of containers with the image of a bundle: the programs of the components run, with their arguments.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

mod support;
use support::Project;

/// A program that prints its arguments and succeeds.
const ECHO: &str = "#!/bin/sh\necho \"${0##*/} runs: $*\"\n";

/// Creates a project with two sidecars and their bundle. Their programs are scripts.
fn project() -> Project {
    let project = Project::new();
    for name in ["first", "second"] {
        let component = format!(
            "schema: 1\nname: {name}\nkind: sidecar\nsummary: A sidecar\nimage: ${{registry}}/{name}:1\n\
             health: {{ command: [probe], interval: 5, timeout: 2, retries: 3 }}\n\
             size: {{ cpu: 32, memory: 64 }}\nlocal: {{ binary: {name} }}\n"
        );
        project.write(&format!("sidecars/{name}/component.yaml"), component);
        script(&project, name, ECHO);
    }

    project.write(
        "sidecars/bundle/bundle.yaml",
        "schema: 1\nname: tools\nkind: bundle\nsummary: Both\nimage: ${registry}/tools:1\nmembers: [first, second]\n",
    );
    // The app ends the task after the sidecars have printed.
    let app = format!("{}local: {{ binary: web }}\n", support::WEB);
    project.write("apps/web/component.yaml", app);
    script(
        &project,
        "web",
        "#!/bin/sh\necho \"web runs: $*\"\nsleep 1\n",
    );
    project
}

fn script(project: &Project, name: &str, text: &str) {
    let path = project.write(&format!("target/debug/{name}"), text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn runs_the_programs_of_an_assembly() {
    let project = project();
    project.write(
        "assemblies/shop.yaml",
        "name: shop\napp: web\nsidecars: [first, second]\nservice: {}\n",
    );
    let checked = project.assemble(&["check", "shop"]);
    assert_eq!(checked.code, Some(0), "{}", checked.out);

    let ran = project.assemble(&["up", "shop", "--values", "example"]);
    for line in ["first runs: serve", "second runs: serve", "web runs: serve"] {
        assert!(
            ran.out.contains(line),
            "{line} is missing:\n{}{}",
            ran.out,
            ran.err
        );
    }
    assert!(!ran.out.contains("runs: first"), "{}", ran.out);
}

#[test]
fn runs_the_programs_of_a_definition() {
    let project = project();
    let container = |name: &str, entry_point: &[&str], command: &[&str]| {
        json!({ "name": name, "image": "other.example/tools:2", "memory": 64, "essential": false,
            "entryPoint": entry_point, "command": command })
    };
    let web = json!({ "name": "web", "image": "registry.example/web:1", "memory": 64, "command": ["serve"] });
    let containers = [
        container("a", &["/tools", "first"], &["serve", "--all"]),
        container("b", &[], &["second", "serve"]),
        web,
    ];
    let definition = json!({ "family": "shop", "containerDefinitions": containers });
    project.write("task.json", definition.to_string());

    let ran = project.assemble(&["up", "task.json"]);
    for line in [
        "first runs: serve --all\n",
        "second runs: serve\n",
        "web runs: serve\n",
    ] {
        assert!(
            ran.out.contains(line),
            "{line} is missing:\n{}{}",
            ran.out,
            ran.err
        );
    }
}

#[test]
fn a_health_check_runs_the_program_of_the_component() {
    let project = project();
    // Healthy only if the words that call the program in the image are replaced too.
    let script_text = "#!/bin/sh\n[ \"$*\" = serve ] && exec sleep 60\n[ \"$*\" = probe ]\n";
    script(&project, "first", script_text);
    let containers = json!([{ "name": "first", "image": "registry.example/tools:1", "memory": 64,
        "entryPoint": ["/tools", "first"], "command": ["serve"], "stopTimeout": 2,
        "healthCheck": { "command": ["CMD", "/tools", "first", "probe"], "interval": 5, "retries": 1 } }]);
    let definition = json!({ "family": "shop", "containerDefinitions": containers });
    project.write("task.json", definition.to_string());

    let arguments = ["up", "task.json", "--until-healthy", "--timeout", "60s"];
    let ran = project.assemble(&arguments);
    assert!(
        ran.err.contains("first ✔ HEALTHY"),
        "{}{}",
        ran.out,
        ran.err
    );
}
