//! Forbidden dependencies between crates, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use acceptance::workspace;
use serde_json::Value;

const PURE: &[&str] = &["task-definition", "assembly"];
/// The one package that depends on components: all sidecars in one program.
const BUNDLE: &str = "bundle";
const IMPURE: &[&str] = &["tokio", "hyper", "clap", "figment"];

#[test]
fn components_depend_on_chassis_only() {
    let workspace = Workspace::read();
    for component in workspace.components() {
        let dependencies: Vec<_> = workspace
            .workspace_dependencies(component)
            .into_iter()
            .collect();
        assert!(
            dependencies.iter().all(|name| *name == "chassis"),
            "{component} must depend on chassis only, not on {dependencies:?}"
        );
    }

    assert!(
        workspace.workspace_dependencies("chassis").is_empty(),
        "chassis depends on a component"
    );
}

#[test]
fn the_bundle_depends_on_chassis_and_sidecars_only() {
    let workspace = Workspace::read();
    let sidecars = workspace.components_in("sidecars");
    let dependencies = workspace.workspace_dependencies(BUNDLE);
    let allowed: BTreeSet<&str> = sidecars.iter().copied().chain(["chassis"]).collect();
    assert_eq!(dependencies, allowed, "the bundle contains every sidecar");
}

#[test]
fn pure_crates_depend_on_no_runtime_network_or_command_line() {
    let workspace = Workspace::read();
    for package in PURE {
        let reachable = workspace.transitive_dependencies(package);
        let impure: Vec<_> = reachable
            .iter()
            .filter(|name| IMPURE.contains(&name.as_str()) || name.starts_with("aws-"))
            .collect();
        assert!(impure.is_empty(), "{package} depends on {impure:?}");
    }
}

#[test]
fn assembler_crates_have_only_the_allowed_dependencies() {
    let workspace = Workspace::read();
    let allowed_dependencies: &[(&str, &[&str])] = &[
        ("diagnostics", &[]),
        ("task-definition", &["diagnostics"]),
        ("ecs-rules", &["diagnostics", "task-definition"]),
        ("assembly", &["diagnostics", "ecs-rules", "task-definition"]),
        ("ecs-client", &["task-definition"]),
        ("registry", &[]),
        ("task-runner", &["diagnostics", "task-definition"]),
        (
            "local",
            &[
                "assembly",
                "diagnostics",
                "ecs-rules",
                "registry",
                "task-definition",
                "task-runner",
            ],
        ),
        (
            "ecs-emulator",
            &["diagnostics", "ecs-rules", "local", "task-definition"],
        ),
        (
            "assemble",
            &[
                "assembly",
                "diagnostics",
                "ecs-client",
                "ecs-emulator",
                "ecs-rules",
                "local",
                "registry",
                "task-definition",
                "task-runner",
            ],
        ),
    ];

    for (package, allowed) in allowed_dependencies {
        for dependency in workspace.workspace_dependencies(package) {
            assert!(
                allowed.contains(&dependency),
                "{package} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_tree_has_one_http_stack_and_one_crypto_provider() {
    let built = built_packages();
    for unwanted in [
        "openssl-sys",
        "native-tls",
        "reqwest",
        "ring",
        "tonic",
        "serde_yaml",
    ] {
        assert!(!built.contains_key(unwanted), "{unwanted} is in the tree");
    }

    for single in ["hyper", "http", "h2", "rustls", "tokio-rustls", "aws-lc-rs"] {
        // Two versions would mean two stacks in every binary.
        assert_eq!(built[single].len(), 1, "{single}: {:?}", built[single]);
    }
}

/// Returns the packages compiled into our programs with their versions, from `cargo tree`.
fn built_packages() -> BTreeMap<String, BTreeSet<String>> {
    // `cargo metadata` resolves features for the whole workspace; the tree lists only packages that are built.
    let output = cargo(&[
        "tree",
        "--workspace",
        "--all-features",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]);

    let mut built: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output).lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            built
                .entry(name.to_owned())
                .or_default()
                .insert(version.to_owned());
        }
    }

    built
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    output.stdout
}

/// The packages of the workspace and the build and normal dependencies of each package.
struct Workspace {
    members: BTreeMap<String, String>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Workspace {
    fn read() -> Self {
        let output = cargo(&["metadata", "--format-version", "1", "--all-features"]);
        let metadata: Value = serde_json::from_slice(&output).expect("cargo prints JSON");
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Self {
        let names: BTreeMap<&str, &str> = list(metadata, "packages")
            .map(|package| (text(package, "id"), text(package, "name")))
            .collect();
        let member_ids: BTreeSet<&str> = list(metadata, "workspace_members")
            .filter_map(Value::as_str)
            .collect();
        let members = list(metadata, "packages")
            .filter(|package| member_ids.contains(text(package, "id")))
            .map(|package| {
                (
                    text(package, "name").into(),
                    text(package, "manifest_path").into(),
                )
            })
            .collect();

        let nodes: Vec<&Value> = list(&metadata["resolve"], "nodes").collect();
        let dependencies = nodes
            .iter()
            .map(|node| {
                (
                    names[text(node, "id")].to_owned(),
                    shipped_dependencies(node, &names),
                )
            })
            .collect();

        Self {
            members,
            dependencies,
        }
    }

    fn components(&self) -> Vec<&str> {
        let halves = ["sidecars", "apps"].into_iter();
        let found: Vec<&str> = halves.flat_map(|half| self.components_in(half)).collect();

        // Guards against a moved folder, which would make the tests pass over nothing.
        assert!(found.len() >= 5, "only {found:?} were found");
        found
    }

    /// Returns the components of `sidecars` or `apps`, which also has packages that are not components.
    fn components_in(&self, half: &str) -> Vec<&str> {
        let is_inside = |path: &str| path.contains(&format!("/{half}/"));
        let is_other = |name: &str| name == "chassis" || name == BUNDLE;
        let members = self.members.iter();
        members
            .filter(|(name, path)| is_inside(path) && !is_other(name))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn workspace_dependencies(&self, package: &str) -> BTreeSet<&str> {
        self.dependencies[package]
            .iter()
            .filter(|name| self.members.contains_key(*name))
            .map(String::as_str)
            .collect()
    }

    fn transitive_dependencies(&self, package: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(name) = open.pop() {
            let Some(dependencies) = self.dependencies.get(&name) else {
                continue;
            };
            let new: Vec<String> = dependencies.difference(&found).cloned().collect();
            found.extend(new.iter().cloned());
            open.extend(new);
        }
        found
    }
}

fn shipped_dependencies(node: &Value, names: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    list(node, "deps")
        // Dev-dependencies do not reach a program.
        .filter(|dep| list(dep, "dep_kinds").any(|kind| kind["kind"] != "dev"))
        .map(|dep| names[text(dep, "pkg")].to_owned())
        .collect()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
