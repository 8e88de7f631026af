//! Findings for people.

use task_definition::{Color, Silenced};

use super::report::Report;
use crate::talk::written;

/// A paragraph a finding, and one for each silenced finding when they are to be shown.
pub(super) fn write(report: &Report, show_silenced: bool, color: Color) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += finding.render(color).trim_end();
        text += "\n\n";
    }

    if show_silenced {
        for one in &report.silenced {
            text += &silenced(one, color);
        }
    }

    text
}

fn silenced(one: &Silenced, color: Color) -> String {
    let finding = one.finding.render(color);
    let by = match written(&one.ruling.place) {
        Some((file, line, _)) => format!("{file}:{line}"),
        None => "the command line".to_owned(),
    };
    format!(
        "silenced {}\n  = reason: {} ({by})\n\n",
        finding.trim_end(),
        one.ruling.reason
    )
}
