//! M10: a setting does not exist.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M10",
    title: "a setting does not exist",
    explanation: "The settings of a component are those of its `component.yaml`, which are those of the program (`<program> describe`). The program refuses an unknown one when it starts; better now than then. The same goes for a variable with the component's prefix that an override or a patch brings in.",
    source: "assemblies/README.md",
    hint: "correct the name",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: hello }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { greting: hello }
service: {}
",
};

/// A setting the component does not have.
pub(crate) fn unknown_setting(place: Place, name: &str, setting: &str, hint: &str) -> Finding {
    RULE.error(place, format!("`{name}` has no setting `{setting}`"), hint)
}

/// A variable that is meant for the component, which it does not know.
pub(crate) fn unknown_variable(place: Place, name: &str, variable: &str, hint: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` has no setting whose variable is `{variable}`"),
        hint,
    )
}
