//! The arrows that must not be drawn, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use acceptance::workspace;
use serde_json::Value;

const PURE: &[&str] = &["task-definition", "assembly"];
const HANDS: &[&str] = &["tokio", "hyper", "clap", "figment"];

#[test]
fn components_know_chassis_and_nothing_else_of_the_workspace() {
    let house = House::read();
    for component in house.components() {
        let own: Vec<_> = house.own_dependencies(component).into_iter().collect();
        assert!(
            own.iter().all(|name| *name == "chassis"),
            "{component} must depend on chassis only, not on {own:?}"
        );
    }

    assert!(
        house.own_dependencies("chassis").is_empty(),
        "chassis depends on a component"
    );
}

#[test]
fn the_pure_crates_reach_no_runtime_no_network_and_no_command_line() {
    let house = House::read();
    for package in PURE {
        let reached = house.reached_from(package);
        let hands: Vec<_> = reached
            .iter()
            .filter(|name| HANDS.contains(&name.as_str()) || name.starts_with("aws-"))
            .collect();
        assert!(hands.is_empty(), "{package} reaches {hands:?}");
    }
}

#[test]
fn each_crate_of_the_assembler_knows_only_what_design_draws() {
    let house = House::read();
    let drawn: &[(&str, &[&str])] = &[
        ("task-definition", &[]),
        ("assembly", &["task-definition"]),
        ("ecs-client", &["assembly", "task-definition"]),
        ("registry", &[]),
        ("task-runner", &["task-definition"]),
        (
            "assemble",
            &[
                "assembly",
                "ecs-client",
                "registry",
                "task-definition",
                "task-runner",
            ],
        ),
    ];

    for (package, allowed) in drawn {
        for dependency in house.own_dependencies(package) {
            assert!(
                allowed.contains(&dependency),
                "{package} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn one_http_stack_and_one_crypto_provider_are_in_the_tree() {
    let built = built();
    for unwanted in [
        "openssl-sys",
        "native-tls",
        "reqwest",
        "ring",
        "tonic",
        "serde_yaml",
    ] {
        assert!(
            !built.contains_key(unwanted),
            "{unwanted} came into the tree"
        );
    }

    for single in ["hyper", "http", "h2", "rustls", "tokio-rustls", "aws-lc-rs"] {
        assert_eq!(built[single].len(), 1, "{single}: {:?}", built[single]);
    }
}

/// What is compiled into our programs, with the versions of each; `cargo tree` knows the features.
fn built() -> BTreeMap<String, BTreeSet<String>> {
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

/// The workspace's packages and what each depends on, build and normal dependencies.
struct House {
    members: BTreeMap<String, String>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl House {
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
        let is_component = |path: &&String| {
            let half = |name: &str| path.contains(&format!("/{name}/"));
            (half("sidecars") || half("apps")) && !path.contains("/sidecars/chassis/")
        };
        let found: Vec<&str> = self
            .members
            .iter()
            .filter(|(_, path)| is_component(path))
            .map(|(name, _)| name.as_str())
            .collect();

        assert!(found.len() >= 5, "only {found:?} were found");
        found
    }

    fn own_dependencies(&self, package: &str) -> BTreeSet<&str> {
        self.dependencies[package]
            .iter()
            .filter(|name| self.members.contains_key(*name))
            .map(String::as_str)
            .collect()
    }

    fn reached_from(&self, package: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(name) = open.pop() {
            let Some(dependencies) = self.dependencies.get(&name) else {
                continue;
            };
            let new: Vec<String> = dependencies.difference(&reached).cloned().collect();
            reached.extend(new.iter().cloned());
            open.extend(new);
        }
        reached
    }
}

fn shipped_dependencies(node: &Value, names: &BTreeMap<&str, &str>) -> BTreeSet<String> {
    list(node, "deps")
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
