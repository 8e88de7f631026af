//! `explain`: what a request would need, and which rule says so.

use chassis::BoxError;

use super::report::Report;
use crate::config::Config;
use crate::rules::{Demand, Need};
use crate::target::Target;

pub(super) fn report(method: &str, path: &str, config: &Config) -> Result<Report, BoxError> {
    let rules = config.compiled_rules()?;
    let mut report = Report::default();
    let target = match Target::parse(path) {
        Ok(target) => target,
        Err(fault) => {
            report.no("target", format!("400: {fault}"));
            return Ok(report);
        }
    };

    let path = format!("/{}", target.segments().join("/"));
    report.yes(
        "target",
        target
            .host()
            .map(|host| format!("{host} "))
            .unwrap_or_default()
            + &path,
    );

    match rules.index(method, &target) {
        Some(index) => {
            let written = config
                .rules
                .get(index)
                .map(serde_json::to_string)
                .transpose()?;
            report.yes(
                "rule",
                format!("{}: {}", index + 1, written.unwrap_or_default()),
            );
        }
        None if config.rules.is_empty() => report.yes("rule", "there are none"),
        None => report.no("rule", "403: none is for this request"),
    }

    match rules.need(method, &target) {
        Need::Nothing => report.yes("needs", "nothing"),
        Need::Identity(demand) => report.yes("needs", needs(demand)),
        Need::NoRule => {}
    }

    Ok(report)
}

/// What a rule demands, in words.
fn needs(demand: &Demand) -> String {
    let kinds = demand.credentials.iter().map(|kind| kind.word());
    let kinds = kinds.collect::<Vec<_>>().join(" or ");
    let mut text = match kinds.as_str() {
        "" => "any good credential".to_owned(),
        kinds => format!("a good credential of the kind {kinds}"),
    };

    if !demand.scopes.is_empty() {
        text = format!("{text} with the scopes {}", demand.scopes.join(" "));
    }
    for (name, value) in &demand.claims {
        text = format!("{text}, claim `{name}` {value}");
    }

    text
}
