//! The rules: one file each, with an explanation, a source, a passing case and a failing case.

use std::sync::LazyLock;

use diagnostics::{Finding, LocationMap};
use task_definition::LocatedDefinition;

use crate::images::ImageFacts;
use crate::launch::LaunchContext;
pub(crate) use crate::report::Report;
pub(crate) use crate::rule::{Check, Failing, Rule};

use self::containers::c04_mutable_tag;
use self::shared::is_fragment;
pub use self::shared::platform_of;
use self::syntax::y03_placeholder;

mod containers;
mod dependencies;
mod health;
mod images;
mod launch;
mod lifecycle;
mod linux;
mod logging;
mod network;
mod ports;
mod resources;
mod roles;
mod secrets;
mod shared;
pub(crate) mod syntax;
mod task;
#[cfg(test)]
mod tests;
mod volumes;

/// Checks a definition against every rule and returns all findings in the order of the text.
pub fn check(located: &LocatedDefinition) -> Vec<Finding> {
    check_with(located, &ImageFacts::default())
}

/// Checks a definition against every rule, with the caller's facts about images.
pub fn check_with(located: &LocatedDefinition, images: &ImageFacts) -> Vec<Finding> {
    check_selected(located, images, |_| true)
}

/// Checks a definition against a selection of rules.
pub(crate) fn check_selected(
    located: &LocatedDefinition,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = run_rules(&located.locations, images, is_selected, |rule, report| {
        if let Check::Definition(check) = rule.check {
            check(located, report);
        }
    });
    if findings
        .iter()
        .any(|finding| finding.rule != y03_placeholder::RULE.id)
    {
        // A placeholder violates many formats; Y03 reports it once.
        let placeholders = y03_placeholder::find_all(located);
        findings.retain(|finding| {
            finding.rule == y03_placeholder::RULE.id
                || !is_about_placeholder(finding, &placeholders)
        });
    }

    if is_fragment(located) {
        // T01 reports that it is a fragment.
        findings
            .retain(|finding| !rule(finding.rule).is_some_and(|rule| rule.needs_whole_definition));
    }
    findings
}

/// Checks a service or RunTask request against a selection of rules.
pub(crate) fn check_launch_selected(
    context: &LaunchContext<'_>,
    locations: &LocationMap,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    run_rules(locations, images, is_selected, |rule, report| {
        if let Check::Launch(check) = rule.check {
            check(context, report);
        }
    })
}

fn run_rules(
    locations: &LocationMap,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
    run: impl Fn(&'static Rule, &mut Report<'_>),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules().iter().filter(|rule| is_selected(rule.id)) {
        let mut report = Report::new(rule, locations, images);

        run(rule, &mut report);
        findings.append(&mut report.into_findings());
    }

    findings.sort_by_key(|finding| finding.location.sort_key());
    findings
}

/// Returns whether a finding is about a value that contains a placeholder, which Y03 reports.
fn is_about_placeholder(finding: &Finding, placeholders: &[(String, String)]) -> bool {
    let pointer = finding.pointer.as_deref();
    // C04 checks the tag, which is valid even if the registry is a placeholder.
    finding.rule != c04_mutable_tag::RULE.id
        && placeholders
            .iter()
            .any(|(placeholder, _)| pointer == Some(placeholder))
}

/// Returns every rule, grouped by subject.
pub fn rules() -> &'static [Rule] {
    &RULES
}

/// Returns the rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// The rules of all groups, in the order of the reference.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    [
        task::RULES,
        containers::RULES,
        resources::RULES,
        ports::RULES,
        dependencies::RULES,
        lifecycle::RULES,
        health::RULES,
        images::RULES,
        logging::RULES,
        secrets::RULES,
        volumes::RULES,
        linux::RULES,
        launch::RULES,
        syntax::RULES,
    ]
    .concat()
});
