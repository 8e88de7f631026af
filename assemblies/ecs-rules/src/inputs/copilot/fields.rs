//! The fields of manifests: those that are converted, and those without a counterpart.

use diagnostics::nearest;
use diagnostics::source::{Key, Node};
use task_definition::UNKNOWN_FIELD;

use super::Workload;
use crate::inputs::derived::Notes;
use crate::inputs::derived::shape::{Shape, report_shape};

/// Reports the fields of a manifest that are not converted.
pub(super) fn report(root: &Node, workload: Workload, notes: &mut Notes<'_>) {
    if workload == Workload::RequestDriven {
        let message = "App Runner runs this service; it is evaluated as a task on Fargate that runs the same container";
        notes.add(super::name_span(root), message);
    }
    report_level(root, &[], notes);

    let environments = root.get("environments").map_or(&[][..], Node::entries);
    for (_, settings) in environments {
        report_level(settings, &["name", "type", "environments"], notes);
    }
}

/// Reports the fields of the manifest, or of an environment in it.
fn report_level(node: &Node, excluded: &[&str], notes: &mut Notes<'_>) {
    for (key, value) in node.entries() {
        let field = key.name.as_str();
        report_shape(&format!("`{field}`"), field, value, &SHAPES, notes);
        if let Some((_, reason)) = NO_COUNTERPART.iter().find(|(known, _)| *known == field) {
            notes.add(key.span, format!("`{field}` is not evaluated: {reason}"));
        } else if !CONVERTED.contains(&field) || excluded.contains(&field) {
            let known: Vec<&str> = CONVERTED
                .iter()
                .copied()
                .chain(NO_COUNTERPART.iter().map(|(known, _)| *known))
                .filter(|known| !excluded.contains(known))
                .collect();
            report_unknown("the manifest", key, &known, notes);
        }
    }
}

/// Reports the fields that a sidecar does not have.
pub(super) fn report_sidecar(sidecar: &Key, settings: &Node, notes: &mut Notes<'_>) {
    for (key, value) in settings.entries() {
        let what = format!("`{}` of `{}`", key.name, sidecar.name);
        report_shape(&what, &key.name, value, &SHAPES, notes);
        if !SIDECAR.contains(&key.name.as_str()) {
            report_unknown(
                &format!("the sidecar `{}`", sidecar.name),
                key,
                &SIDECAR,
                notes,
            );
        }
    }
}

/// Reports a misspelt field, and names others: Copilot ignores both.
fn report_unknown(what: &str, key: &Key, known: &[&str], notes: &mut Notes<'_>) {
    let message = format!("{what} has no field `{}`", key.name);
    match nearest(&key.name, known.iter().copied()) {
        Some(meant) => notes.error(
            UNKNOWN_FIELD,
            key.span,
            message,
            format!("did you mean `{meant}`?"),
        ),
        None => notes.add(
            key.span,
            format!("`{}` is not evaluated: it is no field of Copilot", key.name),
        ),
    }
}

/// The fields that are converted, or that decide nothing about the task.
const CONVERTED: [&str; 22] = [
    "name",
    "type",
    "image",
    "entrypoint",
    "command",
    "http",
    "nlb",
    "cpu",
    "memory",
    "platform",
    "count",
    "exec",
    "variables",
    "env_file",
    "secrets",
    "storage",
    "logging",
    "sidecars",
    "deployment",
    "environments",
    "network",
    "tags",
];

/// The fields of a manifest or a sidecar that are collections.
const SHAPES: [(&str, Shape); 10] = [
    ("variables", Shape::Map),
    ("secrets", Shape::Map),
    ("sidecars", Shape::Map),
    ("storage", Shape::Map),
    ("logging", Shape::Map),
    ("deployment", Shape::Map),
    ("environments", Shape::Map),
    ("depends_on", Shape::Map),
    ("healthcheck", Shape::Map),
    ("mount_points", Shape::List),
];

const NO_COUNTERPART: [(&str, &str); 7] = [
    (
        "taskdef_overrides",
        "pass the template that `copilot svc package` prints to evaluate them",
    ),
    ("publish", "its topics are not part of the task"),
    ("subscribe", "its queues are not part of the task"),
    (
        "observability",
        "Copilot adds a collector for it when it deploys",
    ),
    ("on", "the schedule is not part of the task"),
    (
        "timeout",
        "it belongs to the state machine that starts the task",
    ),
    (
        "retries",
        "it belongs to the state machine that starts the task",
    ),
];

const SIDECAR: [&str; 13] = [
    "port",
    "image",
    "essential",
    "credentialsParameter",
    "variables",
    "env_file",
    "secrets",
    "mount_points",
    "labels",
    "depends_on",
    "healthcheck",
    "entrypoint",
    "command",
];
