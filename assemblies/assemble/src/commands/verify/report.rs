//! Prints the checks.

use std::fmt::Write as _;

use diagnostics::Color;
use ecs_client::{CheckOutcome, VerifyReport};

use crate::commands::remote::color::{GREEN, RED, YELLOW, paint};

/// Formats the checks as a tree: a heading for each group, and what to do below each failure.
pub(super) fn text(report: &VerifyReport, color: Color) -> String {
    let mut text = String::new();
    let mut group = None;
    let mut counts = [0_usize; 3];
    for check in &report.checks {
        if group != Some(check.group) {
            group = Some(check.group);
            let _ = writeln!(text, "{}", check.group.as_str());
        }

        let (index, style, detail) = match &check.outcome {
            CheckOutcome::Ok(detail) => (0, GREEN, detail),
            CheckOutcome::Skip { reason, .. } => (1, YELLOW, reason),
            CheckOutcome::Fail { problem, .. } => (2, RED, problem),
        };
        counts[index] += 1;
        let status = format!("{:4}", check.outcome.status());
        let status = paint(&status, style, color);
        // Some checks have nothing to add to their name.
        let separator = if detail.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "  {status}  {}{separator}{detail}", check.name);
        if let CheckOutcome::Fail { fix, .. } = &check.outcome {
            let _ = writeln!(text, "        fix: {fix}");
        }
    }

    let [ok, skipped, failed] = counts;
    let _ = writeln!(text, "{failed} failed, {skipped} skipped, {ok} OK");
    text
}

/// Formats failures as errors, and skipped checks as notices.
pub(super) fn github(report: &VerifyReport) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let (level, message) = match &check.outcome {
            CheckOutcome::Ok(_) => continue,
            CheckOutcome::Skip { reason, .. } => ("notice", reason.clone()),
            CheckOutcome::Fail { problem, fix } => ("error", format!("{problem}\nfix: {fix}")),
        };
        let title = format!("{}: {}", check.group.as_str(), check.name);
        let title = escape(&title).replace(':', "%3A").replace(',', "%2C");
        let _ = writeln!(text, "::{level} title={title}::{}", escape(&message));
    }
    text
}

// https://docs.github.com/actions/reference/workflow-commands-for-github-actions; `%` must come first.
fn escape(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}
