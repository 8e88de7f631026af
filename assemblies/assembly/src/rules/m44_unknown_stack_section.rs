//! M44: `stack` has a section that no template has.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M44",
    title: "`stack` has a section that no template has",
    explanation: "`stack` is laid over the template as it is. A section with another name than CloudFormation's makes the whole template invalid, which shows when it is deployed.",
    source: "CloudFormation user guide: template sections",
    hint: "correct the name of the section",
    passing: "\
name: shop
app: web
service: {}
stack: { Resources: { Service: { Properties: { PlatformVersion: '1.4.0' } } } }
",
    failing: "\
name: shop
app: web
service: {}
stack: { Resource: { Service: { Properties: { PlatformVersion: '1.4.0' } } } }
",
};

/// The sections of a template.
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

/// A section of another name.
pub(crate) fn unknown_section(place: Place, name: &str) -> Finding {
    let hint = crate::text::meant(name, SECTIONS);
    RULE.error(place, format!("a template has no section `{name}`"), hint)
}
