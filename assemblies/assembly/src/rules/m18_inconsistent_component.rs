//! M18: component.yaml contradicts itself.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M18.
pub(crate) const RULE: Rule = Rule {
    id: "M18",
    name: "inconsistent-component",
    title: "component.yaml contradicts itself",
    explanation: "The assembler passes addresses to a component through its settings, so every setting that `provides`, `requires` and the other fields name must be declared.",
    source: "docs/manifest.md",
    hint: "correct the component.yaml",
    passing: "\
schema: 1
name: web
kind: app
summary: Answers requests
image: web:1
provides: { http: { setting: listen, port: 8080 } }
settings: { listen: { type: string, doc: the listen address } }
size: { cpu: 64, memory: 64 }
",
    // `lisen` is not declared under `settings`.
    failing: Failing::Change(
        "provides: { http: { setting: listen, port: 8080 } }",
        "provides: { http: { setting: lisen, port: 8080 } }",
    ),
    ..MANIFEST
};

/// Reports a setting that is used but not declared.
pub(crate) fn unknown_setting(location: Location, setting: &str) -> Finding {
    RULE.finding(
        location,
        format!("the component has no setting `{setting}`"),
        "declare it under `settings`",
    )
}

/// Reports a member of a bundle whose image is made by others, so that no program of this project contains it.
pub(crate) fn third_party_member(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` cannot be in a bundle: its image is a third-party one"),
        "remove it from `members`; a bundle contains components without `container`",
    )
}

/// Reports a proxy without the requirement `upstream`.
pub(crate) fn proxy_without_upstream(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` is a proxy, but does not require an upstream"),
        "add `requires: { upstream: … }`",
    )
}
