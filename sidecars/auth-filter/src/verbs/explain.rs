//! The `explain` verb: shows what a request needs and which rule applies.

use chassis::BoxError;

use super::report::Report;
use crate::config::Config;
use crate::rules::{Alternative, Requirement, RulePolicy};
use crate::target::Target;

pub(super) fn report(method: &str, path: &str, config: &Config) -> Result<Report, BoxError> {
    let rules = config.compile_rules()?;
    let mut report = Report::default();
    let target = match Target::parse(path) {
        Ok(target) => target,
        Err(error) => {
            report.fail("target", format!("400: {error}"));
            return Ok(report);
        }
    };

    // The decoded segments, as rules see them.
    let path = format!("/{}", target.segments().join("/"));
    report.pass(
        "target",
        target
            .host()
            .map(|host| format!("{host} "))
            .unwrap_or_default()
            + &path,
    );

    match rules.index(method, &target) {
        Some(index) => {
            let rule = config
                .rules
                .get(index)
                .map(serde_json::to_string)
                .transpose()?;
            report.pass(
                "rule",
                format!("{}: {}", index + 1, rule.unwrap_or_default()),
            );
        }
        None if config.rules.is_empty() => report.pass("rule", "no rules are configured"),
        None => report.fail("rule", "403: no rule matches this request"),
    }

    match rules.requirement(method, &target) {
        Requirement::Public => report.pass("needs", "nothing"),
        Requirement::Identity(policy) => report.pass("needs", describe_policy(policy)),
        Requirement::NoRule => {}
    }

    Ok(report)
}

/// Describes a policy in words.
fn describe_policy(policy: &RulePolicy) -> String {
    let kinds = policy
        .credentials
        .iter()
        .map(|kind| kind.as_str())
        .collect::<Vec<_>>()
        .join(" or ");
    let mut text = match kinds.as_str() {
        "" => "any valid credential".to_owned(),
        kinds => format!("a valid credential of kind {kinds}"),
    };

    if !policy.scopes.is_empty() {
        text = format!("{text} with the scopes {}", policy.scopes.join(" "));
    }
    for (name, value) in &policy.claims {
        text = format!("{text}, claim `{name}` {value}");
    }
    if !policy.any_of.is_empty() {
        let alternatives: Vec<_> = policy.any_of.iter().map(describe_alternative).collect();
        text = format!("{text}, and one of: {}", alternatives.join("; or "));
    }

    text
}

fn describe_alternative(either: &Alternative) -> String {
    let scopes = (!either.scopes.is_empty()).then(|| format!("scopes {}", either.scopes.join(" ")));
    let claims = either.claims.iter();
    let claims = claims.map(|(name, value)| format!("claim `{name}` {value}"));
    scopes
        .into_iter()
        .chain(claims)
        .collect::<Vec<_>>()
        .join(" and ")
}
