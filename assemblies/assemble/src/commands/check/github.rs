//! Findings as GitHub workflow commands, which annotate the lines of a change.

use std::fmt::Write as _;

use diagnostics::{Finding, Location};

use super::report::Report;
use crate::project::Project;
use crate::ui::source_location;

/// Formats one line per finding.
pub(super) fn write(report: &Report, project: &Project) -> String {
    let findings = report.findings.iter();
    findings.map(|finding| command(finding, project)).collect()
}

fn command(finding: &Finding, project: &Project) -> String {
    let mut properties = Vec::new();
    if let Some((file, line, column)) = source_location(&finding.location) {
        properties.push(format!("file={}", property(&project.path_of(file))));
        properties.push(format!("line={line}"));
        properties.push(format!("col={column}"));
    }

    properties.push(format!("title={}", property(finding.rule)));
    let mut message = finding.message.clone();
    if let Location::Derived { reason, .. } = &finding.location {
        let _ = write!(message, "\nderived: {reason}");
    }

    if !finding.hint.is_empty() {
        let _ = write!(message, "\nhint: {}", finding.hint);
    }
    format!(
        "::{} {}::{}\n",
        finding.severity.as_str(),
        properties.join(","),
        data(&message)
    )
}

/// Escapes a message: it ends at the line end, so `%`, CR and LF are percent-encoded.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions; `%` must come first.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes a property, which also ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{data, property};

    #[test]
    fn escapes_characters_that_end_a_property_or_the_line() {
        assert_eq!(data("100%: a, b\r\nc"), "100%25: a, b%0D%0Ac");
        assert_eq!(property("a:b,c%\n.yaml"), "a%3Ab%2Cc%25%0A.yaml");
    }
}
