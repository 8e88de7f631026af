//! M04: name is not valid for ECS, IAM and DNS.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M04.
pub(crate) const RULE: Rule = Rule {
    id: "M04",
    name: "invalid-name",
    title: "name is not valid for ECS, IAM and DNS",
    explanation: "The name becomes the family, the container, the log group and the roles. All of them allow lower-case letters, digits and `-`, beginning with a letter. IAM limits a role name to 64 characters, which leaves 54 for the name.",
    source: "ECS API, RegisterTaskDefinition: family; IAM user guide: IAM and AWS STS quotas",
    hint: "use lower-case letters, digits and `-`",
    passing: "\
name: shop
app: web
service: {}
",
    // Upper-case letters and spaces are not allowed.
    failing: Failing::Document(
        "\
name: My Shop
app: web
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a name with other characters, and proposes a valid one.
pub(crate) fn invalid_name(location: Location, name: &str) -> Finding {
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
        // The limit of the name; see the explanation.
        .take(54)
        .collect();

    let better = better.trim_matches(|c: char| !c.is_ascii_lowercase());
    let hint = match better {
        "" => "begin with a lower-case letter and continue with lower-case letters, digits and `-`"
            .to_owned(),
        better => format!("write `{better}`"),
    };

    RULE.finding(location, format!("`{name}` is not a valid name"), hint)
}
