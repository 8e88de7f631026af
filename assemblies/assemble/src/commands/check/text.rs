//! Findings as text, for people.

use diagnostics::{Color, SuppressedFinding};

use super::report::Report;
use crate::ui::source_location;

/// Formats one paragraph per finding, and one per suppressed finding if they are to be shown.
pub(super) fn write(report: &Report, show_suppressed: bool, color: Color) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += finding.render(color).trim_end();
        text += "\n\n";
    }

    if show_suppressed {
        for suppressed in &report.suppressed {
            text += &format_suppressed(suppressed, color);
        }
    }

    text
}

fn format_suppressed(suppressed: &SuppressedFinding, color: Color) -> String {
    let finding = suppressed.finding.render(color);
    let by = match source_location(&suppressed.level_override.location) {
        Some((file, line, _)) => format!("{file}:{line}"),
        None => "the command line".to_owned(),
    };
    format!(
        "suppressed {}\n  = reason: {} ({by})\n\n",
        finding.trim_end(),
        suppressed.level_override.reason
    )
}
