//! M14: undefined `${value}`.

use diagnostics::{Finding, Location, nearest};

use super::{Failing, MANIFEST, Rule};

/// The description of M14.
pub(crate) const RULE: Rule = Rule {
    id: "M14",
    name: "undefined-value",
    title: "undefined `${value}`",
    explanation: "Values come from `assemblies/values/`, from `--value`, or from the manifest itself.",
    source: "docs/manifest.md",
    hint: "define the value",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
values: { hello: good morning }
service: {}
",
    // Neither the manifest nor the environment defines `hello`.
    failing: Failing::Document(
        "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
service: {}
",
    ),
    ..MANIFEST
};

/// Returns the names of the undefined values in these findings, each once.
pub fn missing_values(findings: &[Finding]) -> Vec<String> {
    // The message is the only part of a finding with the name.
    let of_rule = findings.iter().filter(|finding| finding.rule == RULE.id);
    let names =
        of_rule.filter_map(|finding| finding.message.strip_prefix(MISSING)?.strip_suffix('`'));
    let names: std::collections::BTreeSet<String> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}

const MISSING: &str = "there is no value `";

/// Reports a reference to a value that is not defined.
pub(crate) fn undefined_value<'a>(
    location: Location,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Finding {
    let hint = match nearest(name, known) {
        Some(near) => format!("write `${{{near}}}`"),
        None => format!("add `{name}` to the values, or pass `--value {name}=…`"),
    };
    RULE.finding(location, format!("{MISSING}{name}`"), hint)
}
