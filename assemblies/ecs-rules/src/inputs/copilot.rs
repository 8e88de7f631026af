//! Reads manifests of AWS Copilot: the task definition and the service that Copilot deploys.
//!
//! | file | does |
//! |---|---|
//! | `container` | converts the main container, sidecars and the log router |
//! | `storage` | converts volumes |
//! | `service` | converts counts, load balancers and deployments |
//! | `fields` | the fields of manifests that have no counterpart |
//!
//! Each environment of `environments` is one more variant, with its settings over those of the manifest.
//! Facts: <https://aws.github.io/copilot-cli/docs/manifest/overview/>, and the defaults of copilot-cli 1.34.

use diagnostics::source::{Node, NodeValue, Source, Span};
use task_definition::{HasSchema, NetworkConfiguration, WRONG_TYPE};

use super::derived::fields::{integer, scalar_text};
use super::derived::interpolate::Syntax;
use super::derived::merge::overlay;
use super::derived::record::{Record, list, text, texts, unknown};
use super::derived::{Draft, Notes, optional_unknown, read as read_draft};
use super::document::{Document, ParsedInput};

mod container;
mod fields;
mod service;
mod storage;

/// The types of manifests that describe a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Workload {
    LoadBalanced,
    Backend,
    Worker,
    Job,
    /// A service of App Runner, which is evaluated as the task that it can become.
    RequestDriven,
}

impl Workload {
    fn from_manifest(root: &Node) -> Option<Self> {
        Some(match root.get("type").and_then(Node::text)? {
            "Load Balanced Web Service" => Self::LoadBalanced,
            "Backend Service" => Self::Backend,
            "Worker Service" => Self::Worker,
            "Scheduled Job" => Self::Job,
            "Request-Driven Web Service" => Self::RequestDriven,
            _ => return None,
        })
    }

    /// Returns whether Copilot deploys an ECS service.
    fn is_service(self) -> bool {
        matches!(self, Self::LoadBalanced | Self::Backend | Self::Worker)
    }
}

/// Returns whether a text is a manifest that describes a task.
pub(super) fn is_copilot(root: &Node) -> bool {
    Workload::from_manifest(root).is_some()
}

/// Reads a manifest.
pub(super) fn read(source: &Source, root: &Node) -> ParsedInput {
    let mut notes = Notes::new(source, Syntax::Braces);
    let mut variants = Vec::new();
    let environments = root.get("environments").map_or(&[][..], Node::entries);
    let workload = Workload::from_manifest(root).unwrap_or(Workload::Backend);

    fields::report(root, workload, &mut notes);
    let base = Variant {
        manifest: root,
        workload,
        // An environment may add what the manifest lacks.
        is_complete: environments.is_empty(),
    };
    variants.push(base.read(root, &mut notes));

    for (_, settings) in environments.iter().take(MAX_ENVIRONMENTS) {
        if settings.value == NodeValue::Null {
            continue;
        }
        let mut manifest = overlay(root, settings);
        // Nothing may be left to another environment.
        if let NodeValue::Map(entries) = &mut manifest.value {
            entries.retain(|(key, _)| key.name != "environments");
        }
        let variant = Variant {
            manifest: &manifest,
            workload,
            is_complete: true,
        };
        variants.push(variant.read(root, &mut notes));
    }

    ParsedInput {
        variants,
        findings: notes.findings,
        not_evaluated: notes.not_evaluated,
        converted_from: Some("an AWS Copilot manifest"),
    }
}

/// More environments than an application of Copilot has.
const MAX_ENVIRONMENTS: usize = 48;

/// A manifest with the settings of one environment.
struct Variant<'n> {
    manifest: &'n Node,
    workload: Workload,
    is_complete: bool,
}

impl Variant<'_> {
    fn read(&self, root: &Node, notes: &mut Notes<'_>) -> Vec<Document> {
        if self.is_complete {
            self.report_missing(notes);
        }
        let mut drafts = vec![Draft::Definition(self.definition(notes))];
        if self.workload.is_service() {
            let service = service::convert(self.manifest, self.workload, notes);
            drafts.push(Draft::Service(service));
        }

        // Both are read in the same way, so that a finding about either names its line.
        let mut documents = Vec::new();
        for draft in drafts {
            let is_service = matches!(draft, Draft::Service(_));
            let (document, findings) = read_draft(notes.source, Syntax::Braces, root, draft);
            for finding in findings {
                if !notes.findings.contains(&finding) {
                    notes.findings.push(finding);
                }
            }
            documents.extend(document.map(|mut document| {
                if is_service {
                    // The subnets and security groups are those of the environment.
                    let network = optional_unknown(NETWORK, NetworkConfiguration::SCHEMA);
                    document.unknowns.push(network);
                }
                document
            }));
        }
        documents
    }

    fn definition(&self, notes: &mut Notes<'_>) -> Node {
        let manifest = self.manifest;
        let span = name_span(manifest);
        let size = |field: &str, default: &str| match manifest.get(field) {
            Some(node) => scalar_text(node, notes).unwrap_or_else(|| node.clone()),
            None => text(default, span),
        };

        // The defaults of App Runner differ from those of ECS services.
        let (cpu, memory) = match self.workload {
            Workload::RequestDriven => (size("cpu", "1024"), size("memory", "2048")),
            _ => (size("cpu", "256"), size("memory", "512")),
        };

        let mut record = Record::new(span);
        record.add("family", name(manifest, notes));
        record.add("requiresCompatibilities", texts(["FARGATE"], span));
        record.add("networkMode", text("awsvpc", span));
        record.add("cpu", cpu);
        record.add("memory", memory);
        // Copilot makes both roles.
        record.add("executionRoleArn", unknown("ExecutionRole", span));
        record.add("taskRoleArn", unknown("TaskRole", span));
        record.add_some("runtimePlatform", platform(manifest, notes));
        record.add_some("ephemeralStorage", storage::ephemeral(manifest, notes));
        record.add_some("volumes", storage::volumes(manifest, notes));
        let containers = container::all(manifest, self.workload, notes);
        record.add("containerDefinitions", list(containers, span));
        record.into_node()
    }

    /// Reports the fields that Copilot requires.
    fn report_missing(&self, notes: &mut Notes<'_>) {
        let required: &[(&str, &str)] = match self.workload {
            Workload::LoadBalanced | Workload::RequestDriven => &[("/image/port", "8080")],
            Workload::Job => &[("/on/schedule", "\"@daily\"")],
            Workload::Backend | Workload::Worker => &[],
        };
        for (pointer, example) in required {
            if self.manifest.at(pointer).is_some() {
                continue;
            }
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let kind = self
                .manifest
                .get("type")
                .and_then(Node::text)
                .unwrap_or_default();
            let message = format!("a {kind} needs `{field}`");
            let hint = format!("add `{field}: {example}`");
            notes.error(WRONG_TYPE, name_span(self.manifest), message, hint);
        }
    }
}

/// The field of a service that Copilot takes from the environment.
const NETWORK: &str = "/networkConfiguration";

/// Returns the name of the workload, which is also that of its main container.
fn name(manifest: &Node, notes: &Notes<'_>) -> Node {
    let name = manifest
        .get("name")
        .and_then(|name| scalar_text(name, notes));
    name.unwrap_or_else(|| unknown("name", manifest.span))
}

fn name_span(manifest: &Node) -> Span {
    let name = manifest.get("name").or_else(|| manifest.get("type"));
    name.map_or(manifest.span, |node| node.span)
}

fn platform(manifest: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = manifest.get("platform")?;
    let span = node.span;
    let (system, architecture) = if matches!(node.value, NodeValue::Map(_)) {
        let field = |name: &str| node.get(name).and_then(|node| notes.known_text(node));
        (field("osfamily")?, field("architecture"))
    } else {
        let known = notes.known_text(node)?;
        let (system, architecture) = known.split_once('/')?;
        (system.to_owned(), Some(architecture.to_owned()))
    };

    let system = match system.to_lowercase().as_str() {
        // https://aws.github.io/copilot-cli/docs/manifest/lb-web-service/#platform
        "windows" => "WINDOWS_SERVER_2019_CORE".to_owned(),
        other => other.to_uppercase(),
    };
    let mut record = Record::new(span).with("operatingSystemFamily", text(system, span));
    if let Some(architecture) = architecture {
        let word = match architecture.to_lowercase().as_str() {
            "amd64" | "x86_64" => "X86_64".to_owned(),
            "arm" | "arm64" => "ARM64".to_owned(),
            other => other.to_uppercase(),
        };
        record.add("cpuArchitecture", text(word, span));
    }
    Some(record.into_node())
}

/// Returns a whole number at a pointer.
fn integer_at(manifest: &Node, pointer: &str, notes: &Notes<'_>) -> Option<Node> {
    manifest.at(pointer).map(|node| integer(node, notes))
}
