//! `assemble images inspect` and `assemble check --images`.

#![cfg(feature = "lock")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step fails the test"
)]

#[path = "support/images.rs"]
mod images;
mod support;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;

use registry::layout::{ContainerConfig, Owner};
use serde_json::{Value, json};
use support::{CommandOutput, Project};

/// Runs the command with a store of its own.
fn assemble(project: &Project, arguments: &[&str]) -> CommandOutput {
    let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(project.root())
        .env("XDG_CACHE_HOME", project.root().join("cache"))
        .env("DOCKER_CONFIG", project.root())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Writes an image with the single program `/app`, user `app`, port 8080 and a volume.
fn write_app(folder: &Path) {
    let config = ContainerConfig {
        user: "app".to_owned(),
        entrypoint: vec!["/app".to_owned()],
        cmd: vec!["serve".to_owned()],
        env: vec!["MODE=fast\u{1b}[31m".to_owned()],
        exposed_ports: [("8080/tcp".to_owned(), json!({}))].into(),
        volumes: [
            ("/data".to_owned(), json!({})),
            ("/var/app".to_owned(), json!({})),
        ]
        .into(),
        labels: [("team".to_owned(), "web".to_owned())].into(),
        ..ContainerConfig::default()
    };
    let files = [
        ("app", b"program".to_vec()),
        ("etc/passwd", b"app:x:7:7::/:/\n".to_vec()),
    ];
    let app = Owner { user: 7, group: 7 };
    let folders = [("data", app), ("var/app", Owner::ROOT)];
    images::write(folder, &files, &folders, config);
}

fn definition(container: Value) -> String {
    let mut app = json!({ "name": "app", "image": "registry.example/app:1" });
    let fields = app.as_object_mut().unwrap();
    fields.extend(container.as_object().unwrap().clone());
    let architecture = match images::host_architecture() {
        "arm64" => "ARM64",
        _ => "X86_64",
    };
    // V12 reports a volume that nobody mounts.
    let volumes = match app.get("mountPoints") {
        Some(_) => json!([{ "name": "data" }]),
        None => json!([]),
    };
    json!({
        "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256",
        "memory": "512", "volumes": volumes,
        "runtimePlatform": { "cpuArchitecture": architecture, "operatingSystemFamily": "LINUX" },
        "containerDefinitions": [app]
    })
    .to_string()
}

/// Returns the ids of the findings of `check --images` for a container of that image.
fn ids(container: Value) -> Vec<String> {
    let project = Project::empty();
    write_app(&project.root().join("out"));
    project.write("task.json", definition(container));
    let arguments = [
        "check",
        "task.json",
        "--images",
        "--image",
        "app=./out",
        "--format",
        "json",
    ];
    let output = assemble(&project, &arguments);
    let findings = output.json()["findings"].clone();
    let findings = findings.as_array().expect("a list").clone();
    findings
        .iter()
        .map(|finding| {
            finding["rule"]
                .as_str()
                .or(finding["id"].as_str())
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_container_that_fits_its_image_has_no_findings() {
    let found = ids(json!({
        "healthCheck": { "command": ["CMD", "/app", "probe"] },
        "portMappings": [{ "containerPort": 8080 }],
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }]
    }));
    assert_eq!(found, [""; 0]);
}

#[test]
fn each_rule_sees_what_the_image_contains() {
    let mount = |path: &str| json!([{ "sourceVolume": "data", "containerPath": path }]);
    for (container, expected) in [
        (json!({ "entryPoint": ["/bin/app"] }), "I03"),
        (
            json!({ "healthCheck": { "command": ["CMD", "curl", "http://localhost/"] } }),
            "I04",
        ),
        (
            json!({ "healthCheck": { "command": ["CMD-SHELL", "exit 0"] } }),
            "I04",
        ),
        (json!({ "portMappings": [{ "containerPort": 80 }] }), "I06"),
        (json!({ "user": "web" }), "I07"),
        // The volume is declared, but its folder belongs to root; or it is not declared.
        (json!({ "mountPoints": mount("/var/app") }), "V09"),
        (json!({ "mountPoints": mount("/other") }), "V09"),
    ] {
        assert_eq!(ids(container.clone()), [expected], "{container}");
    }
}

#[test]
fn another_platform_is_reported_and_the_rest_is_still_checked() {
    let project = Project::empty();
    write_app(&project.root().join("out"));
    let other = definition(json!({ "user": "web" }));
    let other = match images::host_architecture() {
        "arm64" => other.replace("ARM64", "X86_64"),
        _ => other.replace("X86_64", "ARM64"),
    };
    project.write("task.json", other);
    let output = assemble(
        &project,
        &["check", "task.json", "--images", "--image", "app=./out"],
    );
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.out.contains("error[I05]") && output.out.contains("error[I07]"),
        "{output:?}"
    );
}

#[test]
fn an_image_that_cannot_be_read_is_a_warning_and_the_others_are_checked() {
    let project = Project::empty();
    let address = images::serve(project.root().to_owned());
    project.write(
        "task.json",
        json!({ "family": "web", "containerDefinitions": [
            { "name": "one", "image": format!("{address}/absent/one:1"), "memory": 64 },
            { "name": "two", "image": "${registry}/two:1", "memory": 64 },
            { "name": "app", "image": "app:1", "user": "web", "memory": 64 } ] })
        .to_string(),
    );
    write_app(&project.root().join("layouts/app"));
    let arguments = ["check", "task.json", "--images", "--images-from", "layouts"];
    let output = assemble(&project, &arguments);
    // The placeholder has its own finding, which is the reason for both.
    for warning in ["warning[I01]", "warning[Y03]"] {
        assert_eq!(output.out.matches(warning).count(), 1, "{output:?}");
    }

    assert!(output.out.contains("no such image"), "{output:?}");
    assert!(output.out.contains("error[I07]"), "{output:?}");
}

/// Serves one response for every request, and returns the address. The thread ends with the process.
fn serve_response(response: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(response.as_bytes());
        }
    });
    address
}

#[test]
fn the_hint_of_an_unread_image_follows_what_failed() {
    let project = Project::empty();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = closed.local_addr().unwrap().to_string();
    drop(closed);
    let close = "connection: close\r\ncontent-length: 2\r\n";
    let response = |start: &str, body: &str| {
        let text = format!("HTTP/1.1 {start}\r\n{close}\r\n{body}");
        serve_response(text.leak())
    };
    for (registry, hint) in [
        (
            response("404 Not Found", "{}"),
            "push the image, or correct its name and tag",
        ),
        (response("403 Forbidden", "{}"), "log in to its registry"),
        (
            response("401 Unauthorized\r\nwww-authenticate: Basic", "{}"),
            "log in to its registry",
        ),
        (
            response("429 Too Many Requests\r\nretry-after: 900", "{}"),
            "try later, or log in",
        ),
        (
            response("200 OK\r\ncontent-type: text/html", "<p"),
            "check the name of the registry and any proxy",
        ),
        (
            response("200 OK", "{}"),
            "push a container image with a current tool",
        ),
        (refused, "check the network and HTTPS_PROXY"),
        (
            "registry.invalid".to_owned(),
            "correct the name of the registry, or the DNS",
        ),
        (
            "192.0.2.1:5000/../x".to_owned(),
            "correct the image reference",
        ),
    ] {
        let image = format!("{registry}/web:1");
        let container = json!({ "name": "app", "image": image, "memory": 64 });
        let task = json!({ "family": "web", "containerDefinitions": [container] });
        project.write("task.json", task.to_string());
        let output = assemble(&project, &["check", "task.json", "--images"]);
        let expected = format!("hint: {hint}");
        assert!(output.out.contains("warning[I01]"), "{image}: {output:?}");
        assert!(output.out.contains(&expected), "{image}: {output:?}");
    }
}

#[test]
fn layouts_and_archives_are_read_without_a_cache() {
    let project = Project::empty();
    write_app(&project.root().join("out"));
    let packed = Command::new("tar")
        .args(["-czf", "app.tar.gz", "-C", "out", "."])
        .current_dir(project.root())
        .status();
    assert!(packed.unwrap().success());
    project.write("task.json", definition(json!({})));
    // Files in the place of both directories, since root may write to every directory.
    project.write("cache", "");
    project.write(".assemble", "");

    for source in ["./out", "oci:out", "./app.tar.gz", "oci-archive:app.tar.gz"] {
        let output = assemble(&project, &["images", "inspect", source]);
        assert_eq!(output.code, Some(0), "{source}: {output:?}");
        let image = format!("app={source}");
        let output = assemble(
            &project,
            &["check", "task.json", "--images", "--image", &image],
        );
        assert!(!output.out.contains("I01"), "{source}: {output:?}");
    }
    let output = assemble(&project, &["images", "inspect", "127.0.0.1:1/web:1"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.err.contains("cache/assemble/images"), "{output:?}");

    // With a directory in the project it is used.
    std::fs::remove_file(project.root().join(".assemble")).unwrap();
    let address = images::serve(project.root().join("out"));
    let output = assemble(
        &project,
        &["images", "inspect", &format!("{address}/app:1")],
    );
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(project.root().join(".assemble/cache/images/blobs").is_dir());
}

#[test]
fn assemblies_are_checked_with_the_layouts_of_the_project() {
    let project = Project::new();
    write_app(&project.root().join(".assemble/images/web"));
    let before = assemble(&project, &["check", "shop"]);
    assert_eq!(before.code, Some(0), "{before:?}");
    // The component contract says `/web`, which this image does not contain.
    let output = assemble(&project, &["check", "shop", "--images"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.out.contains("[I03]") || output.out.contains("[I04]"),
        "{output:?}"
    );
}

#[test]
fn a_damaged_layer_is_reported_and_the_configuration_is_still_checked() {
    let project = Project::empty();
    let layout = project.root().join("out");
    write_app(&layout);
    let inspected = assemble(
        &project,
        &["images", "inspect", "./out", "--format", "json"],
    )
    .json();
    let digest = inspected["layers"][0]["digest"].as_str().unwrap();
    let blob = layout
        .join("blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    let mut content = std::fs::read(&blob).unwrap();
    content[20] ^= 1;
    std::fs::write(&blob, content).unwrap();
    project.write(
        "task.json",
        definition(json!({ "portMappings": [{ "containerPort": 80 }] })),
    );
    let output = assemble(
        &project,
        &["check", "task.json", "--images", "--image", "app=./out"],
    );
    assert!(
        output.out.contains("warning[I01]") && output.out.contains("warning[I06]"),
        "{output:?}"
    );
}

#[test]
fn image_sources_need_the_flag() {
    let project = Project::empty();
    project.write("task.json", definition(json!({})));
    let output = assemble(&project, &["check", "task.json", "--image", "app=./out"]);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.err.contains("--images"), "{output:?}");
}

#[test]
fn a_misspelt_container_is_not_silently_left_out() {
    let project = Project::empty();
    write_app(&project.root().join("out"));
    project.write("task.json", definition(json!({})));
    let images = ["--images", "--image", "app=./out", "--image", "ap=./out"];
    let output = assemble(&project, &[&["check", "task.json"], &images[..]].concat());
    assert_eq!(output.code, Some(2), "{output:?}");
    let expected = "--image names `ap`, but the containers are `app`";
    assert!(output.err.contains(expected), "{output:?}");
}

#[test]
fn inspect_shows_an_image_of_a_layout_and_of_a_registry() {
    let project = Project::empty();
    let layout = project.root().join("out");
    write_app(&layout);
    let output = assemble(&project, &["images", "inspect", "oci:out"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for line in [
        "entry point   [\"/app\"]",
        "command       [\"serve\"]",
        "user          app",
        "ports         8080/tcp",
        "volumes       /data, /var/app",
        "variable      MODE=fast\\u{1b}[31m",
        "label         team=web",
    ] {
        assert!(output.out.contains(line), "{line}: {}", output.out);
    }

    let local = assemble(
        &project,
        &["images", "inspect", "./out", "--format", "json"],
    )
    .json();
    let address = images::serve(layout);
    let image = format!("{address}/team/app:1");
    let remote = assemble(&project, &["images", "inspect", &image, "--format", "json"]).json();
    for field in [
        "manifest",
        "layers",
        "compressedBytes",
        "environment",
        "platforms",
        "labels",
    ] {
        assert_eq!(local[field], remote[field], "{field}");
    }
    assert_eq!(local["environment"][0]["name"], "MODE");
    // Layers are not needed to show an image.
    let blobs = std::fs::read_dir(project.root().join("cache/assemble/images/blobs/sha256"));
    assert_eq!(blobs.unwrap().count(), 3);
}

#[test]
fn inspect_reports_what_it_cannot_read() {
    let project = Project::empty();
    let address = images::serve(project.root().to_owned());
    let image = format!("{address}/absent/app:1");
    assert_eq!(
        assemble(&project, &["images", "inspect", &image]).code,
        Some(3)
    );
    project.write("task.json", "{}");
    for (source, expected) in [
        ("./none", "does not exist"),
        ("./task.json", "not an image archive"),
        ("oci:.", "not an OCI image layout"),
        ("Web", "REGISTRY/REPOSITORY"),
    ] {
        let output = assemble(&project, &["images", "inspect", source]);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.err.contains(expected), "{output:?}");
    }
    write_app(&project.root().join("out"));
    let output = assemble(
        &project,
        &["images", "inspect", "./out", "--platform", "linux/s390x"],
    );
    assert!(
        output.err.contains("linux/s390x") && output.err.contains("it has linux/"),
        "{output:?}"
    );
}

#[test]
fn size_counts_the_images_that_a_task_pulls() {
    let project = Project::empty();
    write_app(&project.root().join(".assemble/images/app"));
    let address = images::serve(project.root().join(".assemble/images/app"));
    // Two containers share an image, and the second image has the same layers.
    let containers = [
        ("one", "r.example/app:1"),
        ("two", "r.example/app:1"),
        ("three", "REGISTRY/other:1"),
    ];
    let containers = containers.map(|(name, image)| {
        json!({ "name": name, "image": image.replace("REGISTRY", &address), "memory": 64 })
    });
    let task = json!({ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
        "cpu": "256", "memory": "512", "containerDefinitions": containers });
    project.write("task.json", task.to_string());
    let inspected = assemble(
        &project,
        &[
            "images",
            "inspect",
            "oci:.assemble/images/app",
            "--format",
            "json",
        ],
    )
    .json();

    let size = ["size", "task.json", "--images"];
    let output = assemble(&project, &size);
    let bytes = inspected["compressedBytes"].as_u64().unwrap();
    let expected = format!("2 images to pull, {bytes} B compressed");
    assert!(output.out.contains(&expected), "{output:?}");
    let json = assemble(&project, &[&size[..], &["--format", "json"]].concat()).json();
    assert_eq!(json["pull"]["compressedBytes"], bytes);

    // The sum of a part would be taken for the sum of all.
    let absent = task.to_string().replace("/other:1", "/absent/other:1");
    project.write("task.json", absent);
    let output = assemble(&project, &size);
    assert!(output.out.ends_with("\n2 images to pull\n"), "{output:?}");
    assert!(output.err.contains("no such image"), "{output:?}");
}

#[test]
fn a_full_disk_is_reported_and_leaves_no_blob() {
    let project = Project::empty();
    write_app(&project.root().join("out"));
    let image = format!("{}/app:1", images::serve(project.root().join("out")));
    let program = env!("CARGO_BIN_EXE_assemble");
    // A limit on the size of files: writing fails as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec '{program}' images inspect {image}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(project.root())
        .env("XDG_CACHE_HOME", project.root().join("cache"))
        .env("DOCKER_CONFIG", project.root())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("cannot write") && message.contains("cache/assemble/images"),
        "{message}"
    );

    let blobs = project.root().join("cache/assemble/images/blobs/sha256");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 0);
    let repeated = assemble(&project, &["images", "inspect", &image]);
    assert_eq!(repeated.code, Some(0), "{repeated:?}");
}
