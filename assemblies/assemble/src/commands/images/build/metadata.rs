//! The packages of a cargo workspace and their dependencies, from `cargo metadata`.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::target::Target;
use crate::error::CliError;

/// A cargo workspace.
#[derive(Debug, Deserialize)]
pub(super) struct Workspace {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    pub(super) workspace_root: PathBuf,
    pub(super) target_directory: PathBuf,
}

/// A package of the workspace, or one that it depends on.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) license: Option<String>,
    #[serde(default)]
    pub(super) repository: Option<String>,
    /// Missing for a package of the workspace.
    #[serde(default)]
    pub(super) source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<PackageTarget>,
}

#[derive(Debug, Deserialize)]
struct PackageTarget {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Reads the workspace that `folder` is in.
    pub(super) fn read(folder: &Path, targets: &[Target]) -> Result<Self, CliError> {
        let mut command = Command::new(cargo());
        command.args(["metadata", "--locked", "--format-version", "1"]);
        for target in targets {
            command.args(["--filter-platform", target.triple()]);
        }

        let output = command.current_dir(folder).output().map_err(|error| {
            CliError::Usage(format!(
                "cannot run cargo: {error}; install Rust with rustup, or build the program elsewhere and use `--binary`"
            ))
        })?;
        if !output.status.success() {
            return Err(CliError::Usage(format!(
                "cannot read the cargo workspace in `{}`; `images build` compiles components with cargo:\n{}",
                folder.display(),
                String::from_utf8_lossy(&output.stderr).trim_end()
            )));
        }

        serde_json::from_slice(&output.stdout).map_err(|error| {
            CliError::Usage(format!(
                "cannot read the output of `cargo metadata`: {error}"
            ))
        })
    }

    /// Returns the member with a binary of this name.
    pub(super) fn member_with_binary(&self, binary: &str) -> Option<&Package> {
        let is_binary = |target: &PackageTarget| {
            target.name == binary && target.kind.iter().any(|kind| kind == "bin")
        };
        self.packages.iter().find(|package| {
            self.workspace_members.contains(&package.id) && package.targets.iter().any(is_binary)
        })
    }

    /// Returns the packages by id.
    pub(super) fn by_id(&self) -> HashMap<&str, &Package> {
        let packages = self.packages.iter();
        packages
            .map(|package| (package.id.as_str(), package))
            .collect()
    }

    /// Returns the profile for images: `dist` where the workspace has one, else `release`.
    pub(super) fn profile(&self) -> &'static str {
        let manifest = fs::read_to_string(self.workspace_root.join("Cargo.toml"));
        let has_dist =
            manifest.is_ok_and(|text| text.lines().any(|line| line.trim() == "[profile.dist]"));
        if has_dist { "dist" } else { "release" }
    }
}

impl Package {
    /// Returns the folder with its `Cargo.toml`.
    pub(super) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// Returns the cargo to run; cargo itself sets `CARGO` for the programs it starts.
pub(super) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
