//! M44: unknown CloudFormation section in `stack`.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M44.
pub(crate) const RULE: Rule = Rule {
    id: "M44",
    name: "unknown-stack-section",
    title: "unknown CloudFormation section in `stack`",
    explanation: "`stack` is overlaid on the template unchanged. A section that CloudFormation does not know makes the whole template invalid, which shows only at deployment.",
    source: "CloudFormation user guide: template sections",
    hint: "correct the name of the section",
    passing: "\
name: shop
app: web
service: {}
stack: { Resources: { Service: { Properties: { PlatformVersion: '1.4.0' } } } }
",
    // The section is `Resources`.
    failing: Failing::Document(
        "\
name: shop
app: web
service: {}
stack: { Resource: { Service: { Properties: { PlatformVersion: '1.4.0' } } } }
",
    ),
    ..MANIFEST
};

/// The sections of a CloudFormation template.
pub(crate) const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

/// Reports a section that a template does not have.
pub(crate) fn unknown_section(location: Location, name: &str) -> Finding {
    let hint = crate::text::suggest(name, SECTIONS);
    RULE.finding(
        location,
        format!("a template has no section `{name}`"),
        hint,
    )
}
