//! Checks every image that was built against the contract of `sidecars/README.md`: unpacked, read-only, as 65532.
//!
//! The layouts are those of `assemble images build` in `.assemble/images`, or in `ASSEMBLE_TEST_IMAGES`. Nothing here
//! names a component.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use acceptance::{Network, Process, ProcessOutput, Project, component_folders, workspace};
use serde_json::{Value, json};

/// How long a run may take, unpacking included.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn an_image_serves_and_stops_read_only_as_another_user() {
    for image in BuiltImage::all("an_image_serves_and_stops_read_only_as_another_user") {
        let probe =
            json!({ "command": ["CMD", format!("/{}", image.name), "probe"], "interval": 5 });
        let arguments = ["--until-healthy", "--fast-health", "20", "--timeout", "40s"];
        let Some(finished) = image.up(&json!({ "healthCheck": probe }), &arguments) else {
            return;
        };
        assert_eq!(finished.code, 0, "{}: {}", image.name, finished.output());
    }
}

#[test]
fn the_verbs_of_an_image_have_the_exit_codes_of_the_contract() {
    for image in BuiltImage::all("the_verbs_of_an_image_have_the_exit_codes_of_the_contract") {
        for (verb, code, expected) in [
            ("describe", 0, image.name.as_str()),
            ("check", 0, ""),
            ("dance", 2, "dance"),
        ] {
            let Some(finished) = image.up(&json!({ "command": [verb] }), &[]) else {
                return;
            };
            let output = finished.output();
            assert_eq!(finished.code, code, "{} {verb}: {output}", image.name);
            assert!(output.contains(expected), "{} {verb}: {output}", image.name);
        }
    }
}

/// The image of a component.
struct BuiltImage {
    name: String,
    layouts: PathBuf,
    manifest: Value,
}

impl BuiltImage {
    /// Returns the images of all components that have one; reports a skip for the others.
    fn all(test: &str) -> Vec<Self> {
        let folder = std::env::var_os("ASSEMBLE_TEST_IMAGES").map(PathBuf::from);
        let layouts = folder.unwrap_or_else(|| workspace().join(".assemble/images"));
        let mut found = Vec::new();
        for component in component_folders() {
            let text = fs::read_to_string(component.join("component.yaml")).expect("readable");
            let manifest: Value = serde_saphyr::from_str(&text).expect("YAML");
            let name = manifest["name"].as_str().expect("a name").to_owned();

            if layouts.join(&name).join("oci-layout").is_file() {
                let layouts = layouts.canonicalize().expect("a folder");
                found.push(Self {
                    name,
                    layouts,
                    manifest,
                });
            } else {
                let why = format!("no image of `{name}`; run `assemble images build {name}`");
                acceptance::report_skip(test, &why);
            }
        }
        found
    }

    /// Runs the image as a task of one container; `None`, with a message, where that is not possible.
    fn up(&self, more: &Value, arguments: &[&str]) -> Option<ProcessOutput> {
        let (network, project) = (Network::new(), Project::new());
        let root = project.root();
        fs::create_dir_all(root.join(".assemble")).expect("a folder");
        symlink(&self.layouts, root.join(".assemble/images")).expect("a link");
        self.write_keys(&network, &project);
        fs::write(root.join("task.json"), self.definition(more).to_string()).expect("a file");

        let mut command = project.assemble(&network);
        command
            .args(["up", "task.json", "--images"])
            .args(arguments)
            // Shared by the tests of this folder, so that each image is unpacked once.
            .env("XDG_CACHE_HOME", store());
        let finished = Process::finish(command, LIMIT);
        if finished.output().contains("needs mount namespaces") {
            acceptance::report_skip("image_conformance", "this host grants no namespaces");
            return None;
        }
        Some(finished)
    }

    /// Puts the files that `local.alone` names into a volume that outlives tasks: its folder is in the project.
    fn write_keys(&self, network: &Network, project: &Project) {
        let mut command: Command = project.assemble(network);
        command.arg("dev-token");
        assert_eq!(Process::finish(command, LIMIT).code, 0, "dev-token");

        let keys = project.root().join(".assemble/dev");
        let volume = project.root().join(".assemble/volumes/keys");
        fs::create_dir_all(&volume).expect("a folder");
        for entry in fs::read_dir(keys).expect("keys").flatten() {
            let target = volume.join(entry.file_name());
            fs::copy(entry.path(), &target).expect("a copy");
            // The container runs as another user than this test.
            fs::set_permissions(&target, Permissions::from_mode(0o644)).expect("a mode");
        }
        fs::set_permissions(&volume, Permissions::from_mode(0o755)).expect("a mode");
    }

    fn definition(&self, more: &Value) -> Value {
        let mut container = json!({
            "name": self.name,
            "image": format!("registry.example/{}:1", self.name),
            "user": "65532:65532",
            "readonlyRootFilesystem": true,
            "environment": self.environment(),
            "mountPoints": [{ "sourceVolume": "keys", "containerPath": "/.assemble/dev", "readOnly": true }]
        });
        let fields = container.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        json!({
            "family": "conformance",
            "networkMode": "awsvpc",
            "volumes": [{ "name": "keys", "efsVolumeConfiguration": { "fileSystemId": "fs-0" } }],
            "containerDefinitions": [container]
        })
    }

    /// Returns the settings of `local.alone` as variables.
    fn environment(&self) -> Vec<Value> {
        let settings = self.manifest["local"]["alone"].as_object();
        let prefix = self.name.replace('-', "_").to_uppercase();
        let variable = |(setting, value): (&String, &Value)| {
            let name = format!("{prefix}_{}", setting.replace('.', "__").to_uppercase());
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            json!({ "name": name, "value": value })
        };
        settings.into_iter().flatten().map(variable).collect()
    }
}

/// Returns a store below the target directory, which `cargo clean` removes.
fn store() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images");
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
