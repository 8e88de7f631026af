//! The workspace under test, and a writable copy of its assemblies.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Network;

/// Returns the root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns a built binary, from the target directory these tests were built into.
pub fn binary(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().expect("a test is a file");
    // Test executables are in `target/<profile>/deps`, programs one folder up.
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }

    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: run `make build`",
        path.display()
    );

    path
}

/// Returns every component folder: those of `sidecars/*` and `apps/*` with a `component.yaml`.
pub fn component_folders() -> Vec<PathBuf> {
    folders_with("component.yaml")
}

/// Returns the folder of every bundle: those of `sidecars/*` and `apps/*` with a `bundle.yaml`.
pub fn bundle_folders() -> Vec<PathBuf> {
    folders_with("bundle.yaml")
}

fn folders_with(file: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["sidecars", "apps"]
        .iter()
        .flat_map(|half| fs::read_dir(workspace().join(half)).expect("the folder exists"))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.join(file).exists())
        .collect();
    folders.sort();
    folders
}

/// Reports that a test is skipped, and why.
pub fn report_skip(name: &str, why: &str) {
    // Not `eprintln`, because libtest discards the captured output of a passing test.
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// A temporary project folder with the shipped assemblies, values and component files, and without
/// `.assemble/`.
#[derive(Debug)]
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// Copies the files that `assemble` reads into an empty folder.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("the temp folder is writable");
        let root = folder.path();
        copy_files(
            &workspace().join("assemblies"),
            &root.join("assemblies"),
            ".yaml",
        );
        copy_files(
            &workspace().join("assemblies/values"),
            &root.join("assemblies/values"),
            "",
        );

        for component in component_folders() {
            let inside = component
                .strip_prefix(workspace())
                .expect("inside the workspace");
            // `assemble` reads only this file of a component, and the samples for its printed commands.
            copy_files(&component, &root.join(inside), "component.yaml");

            if component.join("samples").is_dir() {
                copy_files(
                    &component.join("samples"),
                    &root.join(inside).join("samples"),
                    "",
                );
            }
        }

        for bundle in bundle_folders() {
            let inside = bundle
                .strip_prefix(workspace())
                .expect("inside the workspace");
            copy_files(&bundle, &root.join(inside), "bundle.yaml");
        }

        Self { folder }
    }

    /// Returns the root of the project.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a command for `assemble` in this project and network, with the binaries under test.
    pub fn assemble(&self, network: &Network) -> Command {
        let assemble = binary("assemble");
        let mut command = network.command(&assemble);
        command
            .current_dir(self.root())
            .env("ASSEMBLE_BIN_DIR", assemble.parent().expect("in a folder"))
            // Without it the AWS SDK waits for the instance metadata service of EC2.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_COLOR", "1");
        command
    }
}

impl Default for Project {
    fn default() -> Self {
        Self::new()
    }
}

fn copy_files(from: &Path, to: &Path, ending: &str) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("the folder exists") {
        let path = entry.expect("readable").path();
        let name = path
            .file_name()
            .expect("named")
            .to_string_lossy()
            .into_owned();

        if path.is_file() && name.ends_with(ending) {
            fs::copy(&path, to.join(name)).expect("can be copied");
        }
    }
}
