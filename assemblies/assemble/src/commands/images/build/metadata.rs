//! The packages of a cargo workspace and their dependencies, from `cargo metadata`.

use std::collections::{BTreeMap, HashMap};
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
    resolve: Resolve,
}

/// The dependency graph.
#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    #[serde(rename = "pkg")]
    id: String,
    dep_kinds: Vec<EdgeKind>,
}

/// `build` or `dev`; a dependency of the program itself has no kind.
#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
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
    pub(super) license_file: Option<String>,
    #[serde(default)]
    pub(super) repository: Option<String>,
    /// Missing for a package of the workspace.
    #[serde(default)]
    pub(super) source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<PackageTarget>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    /// The features, and those and the optional dependencies that each enables.
    #[serde(default)]
    features: BTreeMap<String, Vec<String>>,
}

/// A dependency as `Cargo.toml` has it.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
    kind: Option<String>,
    optional: bool,
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

    /// Returns the ids of the packages that a package with these features uses, without those for its build script.
    ///
    /// Cargo's graph is that of the whole workspace: it has the optional dependencies that other members enable.
    pub(super) fn dependencies(&self, package: &Package, features: &[String]) -> Vec<&str> {
        let by_id = self.by_id();
        let nodes = self.resolve.nodes.iter();
        let edges = nodes
            .filter(|node| node.id == package.id)
            .flat_map(|node| &node.deps);
        let is_used = |edge: &&Edge| {
            let name = by_id.get(edge.id.as_str()).map(|package| &package.name);
            edge.dep_kinds.iter().any(|kind| kind.kind.is_none())
                && name.is_some_and(|name| package.uses(name, features))
        };
        edges.filter(is_used).map(|edge| edge.id.as_str()).collect()
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

    /// Returns whether the package depends on `name` with these features.
    fn uses(&self, name: &str, features: &[String]) -> bool {
        let mut dependencies = self.dependencies.iter();
        dependencies.any(|dependency| {
            let key = dependency.rename.as_ref().unwrap_or(&dependency.name);
            let is_enabled = !dependency.optional || self.enables(key, features);
            dependency.name == name && dependency.kind.is_none() && is_enabled
        })
    }

    /// Returns whether one of the features enables an optional dependency (Cargo book, "Optional dependencies"): `dep:x`,
    /// which cargo writes for the implicit feature `x` too, or `x/feature`, but not `x?/feature`.
    fn enables(&self, key: &str, features: &[String]) -> bool {
        let definitions = features
            .iter()
            .filter_map(|feature| self.features.get(feature));
        let mut words = definitions.flatten();
        words.any(|word| {
            let of_dependency = word.split_once('/').map(|(name, _)| name);
            word.strip_prefix("dep:") == Some(key) || of_dependency == Some(key)
        })
    }
}

/// Returns the cargo to run; cargo itself sets `CARGO` for the programs it starts.
pub(super) fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_dependencies_count_only_if_a_feature_enables_them() {
        let dependency = |name: &str, rename: Option<&str>, optional: bool| serde_json::json!({ "name": name, "rename": rename, "kind": null, "optional": optional });
        let mut build = dependency("cc", None, false);
        build["kind"] = "build".into();
        let package: Package = serde_json::from_value(serde_json::json!({
            "id": "web", "name": "web", "version": "1.0.0", "manifest_path": "/web/Cargo.toml", "targets": [],
            "dependencies": [
                dependency("always", None, false),
                dependency("zstd", None, true),
                dependency("rustls", Some("tls"), true),
                dependency("weak", None, true),
                build,
            ],
            "features": {
                "zstd": ["dep:zstd"], "secure": ["tls/ring", "weak?/std"], "weak": ["dep:weak"],
            },
        }))
        .unwrap();
        let used = |features: &[&str]| -> Vec<&str> {
            let features: Vec<String> = features.iter().map(ToString::to_string).collect();
            let names = ["always", "zstd", "rustls", "weak", "cc"];
            names
                .into_iter()
                .filter(|name| package.uses(name, &features))
                .collect()
        };
        assert_eq!(used(&[]), ["always"]);
        assert_eq!(used(&["zstd"]), ["always", "zstd"]);
        assert_eq!(used(&["secure"]), ["always", "rustls"]);
        assert_eq!(used(&["secure", "weak"]), ["always", "rustls", "weak"]);
    }
}
