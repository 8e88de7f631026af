//! `assemble images prune` against Debian's `docker-registry`, with a fake API of ECS and Amazon ECR.

#![cfg(all(feature = "lock", feature = "aws"))]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

mod support;
use support::{CommandOutput, Project};

#[path = "support/registries.rs"]
mod registries;
use registries::{Debian, FakeApi, write_layout, write_platforms};

/// A project, its registry, and an ECS with the task definitions that a test sets: family, and images by revision.
struct Setup {
    project: Project,
    registry: String,
    ecs: FakeApi,
    definitions: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    /// The digest that a service revision resolved.
    service_digest: Arc<Mutex<Option<String>>>,
}

impl Setup {
    fn new(registry: &str) -> Self {
        let project = Project::new();
        let values =
            format!("account: '111122223333'\nregion: eu-central-1\nregistry: '{registry}/shop'\n");
        project.write("assemblies/values/example.yaml", values);
        let definitions: Arc<Mutex<BTreeMap<String, Vec<String>>>> = Arc::default();
        let service_digest: Arc<Mutex<Option<String>>> = Arc::default();
        let (known, digest) = (definitions.clone(), service_digest.clone());
        let ecs = FakeApi::start(move |operation, input| {
            let known = known.lock().unwrap();
            let digest = digest.lock().unwrap();
            (
                200,
                ecs_response(operation, input, &known, digest.as_deref()).to_string(),
            )
        });

        Self {
            project,
            registry: registry.to_owned(),
            ecs,
            definitions,
            service_digest,
        }
    }

    /// Pushes an image of `web` under a tag, and returns its digest.
    fn push(&self, tag: &str) -> String {
        let folder = self.project.root().join(".assemble/images/web");
        let digest = write_layout(&folder, tag);
        self.push_layout(tag);
        digest
    }

    fn push_layout(&self, tag: &str) {
        let pushed = self.assemble(&["images", "push", "web", "--tag", tag]);
        assert_eq!(pushed.code, Some(0), "{}", pushed.err);
        // No assembly names this tag, so it is in no lock file.
        assert!(pushed.err.contains("not locked"), "{}", pushed.err);
    }

    fn assemble(&self, arguments: &[&str]) -> CommandOutput {
        let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(arguments)
            .current_dir(self.project.root())
            .env("DOCKER_CONFIG", self.project.root())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "x")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_ENDPOINT_URL_ECS", &self.ecs.url)
            .stdin(Stdio::null())
            .output()
            .unwrap();

        CommandOutput {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn define(&self, family: &str, images: &[String]) {
        let mut definitions = self.definitions.lock().unwrap();
        definitions.insert(family.to_owned(), images.to_vec());
    }

    fn has(&self, name: &str) -> bool {
        let status = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", "--head", "-o", "/dev/null", "-H"])
            .arg("Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
            .arg(format!("http://{}/v2/shop/web/manifests/{name}", self.registry))
            .status();
        status.unwrap().success()
    }
}

/// Responds as ECS does; revisions of a family are numbered from 1.
fn ecs_response(
    operation: &str,
    input: &Value,
    known: &BTreeMap<String, Vec<String>>,
    digest: Option<&str>,
) -> Value {
    let arn = |family: &str, number: usize| {
        format!("arn:aws:ecs:eu-central-1:111122223333:task-definition/{family}:{number}")
    };
    match operation {
        "ListTaskDefinitionFamilies" => json!({ "families": known.keys().collect::<Vec<_>>() }),
        "ListTaskDefinitions" => {
            let family = input["familyPrefix"].as_str().unwrap();
            let numbers = (1..=known[family].len()).rev();
            let arns: Vec<String> = numbers.map(|number| arn(family, number)).collect();
            json!({ "taskDefinitionArns": arns })
        }
        "DescribeTaskDefinition" => {
            let name = input["taskDefinition"].as_str().unwrap();
            let (_, name) = name.rsplit_once('/').unwrap();
            let (family, number) = name.split_once(':').unwrap();
            let image = &known[family][number.parse::<usize>().unwrap() - 1];
            json!({ "taskDefinition": { "containerDefinitions": [{ "name": "a", "image": image }] } })
        }
        "ListClusters" if digest.is_some() => json!({ "clusterArns": ["main"] }),
        "ListServices" => json!({ "serviceArns": ["web"] }),
        "DescribeServices" => json!({ "services": [{ "serviceArn": "web" }] }),
        "ListServiceDeployments" => {
            json!({ "serviceDeployments": [{ "targetServiceRevisionArn": "revision" }] })
        }
        "DescribeServiceRevisions" => json!({ "serviceRevisions": [{ "containerImages": [
            { "containerName": "a", "image": "elsewhere/web:1", "imageDigest": digest }
        ] }] }),
        _ => json!({}),
    }
}

#[test]
fn keeps_images_of_locks_task_definitions_and_services() {
    let Some(debian) = Debian::start("images prune") else {
        return;
    };
    let setup = Setup::new(&debian.address);
    let web = format!("{}/shop/web", debian.address);
    let tags = ["old", "locked", "by-tag", "by-digest", "retired", "served"];
    let digests = tags.map(|tag| setup.push(tag));
    let [old, locked, _, by_digest, retired, served] = &digests;

    // Each of them is named in another way; `retired` is in a revision before the latest two.
    let lock = format!("lock: 1\nimages:\n  elsewhere/web:1: {{ digest: '{locked}' }}\n");
    setup
        .project
        .write("assemblies/locks/production.yaml", lock);
    let images = [
        format!("{web}:retired"),
        format!("{web}:by-tag"),
        format!("{web}@{by_digest}"),
    ];
    setup.define("shop", &images);
    *setup.service_digest.lock().unwrap() = Some(served.clone());

    let prune = ["images", "prune", "--keep", "2"];
    let shown = setup.assemble(&[&prune[..], &["--dry-run"]].concat());
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    let mut expected = [
        format!("{web}@{old} old\n"),
        format!("{web}@{retired} retired\n"),
    ];
    expected.sort();
    assert_eq!(shown.out, expected.concat());
    assert!(setup.has("old"));

    // Without a terminal, nothing is deleted unless it is said.
    let asked = setup.assemble(&prune);
    assert_eq!(asked.code, Some(2), "{}", asked.err);
    assert!(
        asked.err.contains("--yes") && setup.has("old"),
        "{}",
        asked.err
    );

    let deleted = setup.assemble(&[&prune[..], &["--yes"]].concat());
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    assert!(deleted.err.contains("deleted 2 images"), "{}", deleted.err);
    let left: Vec<&str> = tags.into_iter().filter(|tag| setup.has(tag)).collect();
    assert_eq!(left, ["locked", "by-tag", "by-digest", "served"]);

    let again = setup.assemble(&[&prune[..], &["--yes"]].concat());
    assert_eq!(
        (again.code, again.out.as_str()),
        (Some(0), ""),
        "{}",
        again.err
    );
}

#[test]
fn keeps_the_manifests_of_a_kept_index_and_deletes_those_of_another() {
    let Some(debian) = Debian::start("pruning indexes") else {
        return;
    };
    let setup = Setup::new(&debian.address);
    let folder = setup.project.root().join(".assemble/images/web");
    let children = |content: &str| {
        write_platforms(&folder, content, &["amd64", "arm64"]);
        let layout = registry::layout::Layout::open(&folder).unwrap();
        let manifests = layout.manifests().unwrap().into_iter();
        manifests.map(|child| child.digest).collect::<Vec<_>>()
    };
    let kept = children("kept");
    setup.push_layout("kept");
    let other = children("other");
    setup.push_layout("other");
    setup.define("shop", &[format!("{}/shop/web:kept", debian.address)]);

    let deleted = setup.assemble(&["images", "prune", "--yes"]);
    assert_eq!(deleted.code, Some(0), "{}", deleted.err);
    assert_eq!(deleted.out.lines().count(), 3, "{}", deleted.out);
    assert!(kept.iter().all(|child| setup.has(child)) && setup.has("kept"));
    assert!(!other.iter().any(|child| setup.has(child)) && !setup.has("other"));
}

#[test]
fn deletes_nothing_when_the_images_in_use_are_unknown() {
    let Some(debian) = Debian::start("pruning without facts") else {
        return;
    };
    let setup = Setup::new(&debian.address);
    setup.push("old");

    setup
        .project
        .write("assemblies/locks/broken.yaml", "lock: 1\nimages: [");
    let broken = setup.assemble(&["images", "prune", "--yes"]);
    assert_eq!(broken.code, Some(1), "{}", broken.err);
    assert!(broken.err.contains("broken.yaml") && setup.has("old"));
    setup
        .project
        .write("assemblies/locks/broken.yaml", "lock: 1\n");

    let refusing = FakeApi::start(|_, _| {
        (
            400,
            r#"{"__type":"AccessDeniedException","message":"no"}"#.to_owned(),
        )
    });
    let setup = Setup {
        ecs: refusing,
        ..setup
    };
    let refused = setup.assemble(&["images", "prune", "--yes"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(
        refused.err.contains("--no-ecs") && setup.has("old"),
        "{}",
        refused.err
    );

    let without = setup.assemble(&["images", "prune", "--yes", "--no-ecs"]);
    assert_eq!(without.code, Some(0), "{}", without.err);
    assert!(!setup.has("old"));
}

#[test]
fn reports_a_registry_without_deletion() {
    let Some(debian) = Debian::start_read_only("deletion is off") else {
        return;
    };
    let setup = Setup::new(&debian.address);
    setup.push("old");
    let refused = setup.assemble(&["images", "prune", "--yes"]);
    assert_eq!(refused.code, Some(3), "{}", refused.err);
    assert!(
        refused.err.contains("REGISTRY_STORAGE_DELETE_ENABLED"),
        "{}",
        refused.err
    );
    assert!(setup.has("old"));
}
