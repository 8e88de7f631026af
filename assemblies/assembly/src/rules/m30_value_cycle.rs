//! M30: values refer to each other in a cycle.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M30.
pub(crate) const RULE: Rule = Rule {
    id: "M30",
    name: "value-cycle",
    title: "values refer to each other in a cycle",
    explanation: "A value may refer to others, `${like this}`. A cycle of references has no result.",
    source: "docs/manifest.md",
    hint: "replace one of the references with text",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${greeting}' }
values: { greeting: '${hello}, world', hello: good morning }
service: {}
",
    // `greeting` refers to `hello`, and `hello` to `greeting`.
    failing: Failing::Change(
        "values: { greeting: '${hello}, world', hello: good morning }",
        "values: { greeting: '${hello}, world', hello: '${greeting}' }",
    ),
    ..MANIFEST
};

/// Reports a cycle; the last name is the first one again.
pub(crate) fn cycle(location: Location, names: &[String]) -> Finding {
    let path: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "the values {} refer to each other in a cycle",
        path.join(", ")
    );
    RULE.finding(location, message, "replace one of the references with text")
}
