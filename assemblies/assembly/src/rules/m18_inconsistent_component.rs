//! M18: a component contradicts itself.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M18",
    title: "a component contradicts itself",
    explanation: "What a component offers and wants is told to it through its settings, so the settings it names must exist.",
    source: "assemblies/README.md",
    hint: "correct the component.yaml",
    passing: "\
schema: 1
name: web
kind: app
summary: Answers
image: web:1
provides: { http: { setting: listen, port: 8080 } }
settings: { listen: { type: string, doc: where } }
size: { cpu: 64, memory: 64 }
",
    failing: "\
schema: 1
name: web
kind: app
summary: Answers
image: web:1
provides: { http: { setting: lisen, port: 8080 } }
settings: { listen: { type: string, doc: where } }
size: { cpu: 64, memory: 64 }
",
};

/// A setting that is used and not declared.
pub(crate) fn unknown_setting(place: Place, setting: &str) -> Finding {
    RULE.error(
        place,
        format!("the component has no setting `{setting}`"),
        "declare it under `settings`",
    )
}

/// A proxy that leads nowhere.
pub(crate) fn proxy_without_upstream(place: Place, name: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` is a proxy, but does not say what it hands requests on to"),
        "add `requires: { upstream: … }`",
    )
}
