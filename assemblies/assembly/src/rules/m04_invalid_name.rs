//! M04: a name has other characters than ECS, IAM and DNS agree on.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M04",
    title: "a name has other characters than ECS, IAM and DNS agree on",
    explanation: "A name becomes the family, the container, the log group and the roles. All of them allow small letters, digits and `-`, beginning with a letter; an IAM role name leaves room for 54 characters.",
    source: "assemblies/README.md",
    hint: "use small letters, digits and -",
    passing: "\
name: shop
app: web
service: {}
",
    failing: "\
name: My Shop
app: web
service: {}
",
};

/// A name with something else in it.
pub(crate) fn invalid_name(place: Place, name: &str) -> Finding {
    let better: String = name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '-'
            }
        })
        .take(54)
        .collect();

    let better = better.trim_matches(|c: char| !c.is_ascii_lowercase());
    let hint = match better {
        "" => "begin with a small letter, go on with small letters, digits and -".to_owned(),
        better => format!("write `{better}`"),
    };

    RULE.error(place, format!("`{name}` cannot be a name"), hint)
}
