//! M14: a `${value}` is not known.

use task_definition::{Finding, Place, nearest};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M14",
    title: "a `${value}` is not known",
    explanation: "Values come from `assemblies/values/`, from `--value`, or from the manifest itself.",
    source: "assemblies/README.md",
    hint: "give the value",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
values: { hello: good morning }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
service: {}
",
};

/// The names of the values that these findings miss, each once.
pub fn missing_values(findings: &[Finding]) -> Vec<String> {
    let of_rule = findings.iter().filter(|finding| finding.rule == RULE.id);
    let names =
        of_rule.filter_map(|finding| finding.message.strip_prefix(MISSING)?.strip_suffix('`'));
    let names: std::collections::BTreeSet<String> = names.map(str::to_owned).collect();
    names.into_iter().collect()
}

const MISSING: &str = "there is no value `";

/// A value nobody gave.
pub(crate) fn undefined<'a>(
    place: Place,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Finding {
    let hint = match nearest(name, known) {
        Some(near) => format!("write `${{{near}}}`"),
        None => format!("add `{name}` to the values, or pass `--value {name}=…`"),
    };
    RULE.error(place, format!("{MISSING}{name}`"), hint)
}
