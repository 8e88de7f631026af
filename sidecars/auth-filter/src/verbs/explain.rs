//! `explain`: what a request would need, and which rule says so.

use chassis::BoxError;

use super::report::Report;
use crate::config::Config;
use crate::rules::{Need, Rules};
use crate::target::Target;

pub(super) fn report(method: &str, path: &str, config: &Config) -> Result<Report, BoxError> {
    let rules =
        Rules::compile(&config.rules).map_err(|_| "`rules` has a rule that cannot be read")?;
    let mut report = Report::default();
    let target = match Target::parse(path) {
        Ok(target) => target,
        Err(fault) => {
            report.no("target", format!("400: {fault}"));
            return Ok(report);
        }
    };
    report.yes("target", format!("/{}", target.segments().join("/")));
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
        Need::Token([]) => report.yes("needs", "any valid token"),
        Need::Token(scopes) => {
            report.yes(
                "needs",
                format!("a valid token with the scopes {}", scopes.join(" ")),
            );
        }
        Need::NoRule => {}
    }
    Ok(report)
}
