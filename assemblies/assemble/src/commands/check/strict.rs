//! Finds JSON that only a YAML parser accepts: trailing commas, comments, single quotes.

use std::path::Path;

use diagnostics::source::{SYNTAX, Source, Span, parse};
use diagnostics::{Finding, Location, Severity};
use serde_json::Value;

/// Returns a finding if other programs cannot read a `.json` file.
pub(super) fn findings(source: &Source) -> Vec<Finding> {
    let is_json = Path::new(&source.name)
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let text = source.text.trim_start_matches('\u{feff}');

    // A template of another tool becomes JSON only after that tool has filled it in.
    let is_template = ["{{", "${", "<%"].iter().any(|mark| text.contains(mark));
    if !is_json || is_template || parse(source).is_err() {
        return Vec::new();
    }

    let Err(error) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    // serde_json counts lines and bytes of a column, both from 1; a span needs a byte offset.
    let lines = text.split_inclusive('\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let begin = source.text.len() - text.len() + before;
    let at = (begin + error.column().saturating_sub(1)).min(source.text.len());
    // The reported column may be inside of a multi-byte character.
    let at = (0..=at)
        .rev()
        .find(|at| source.text.is_char_boundary(*at))
        .unwrap_or(0);

    let location = Location::from_span(
        source,
        Span {
            start: at,
            end: at + 1,
        },
    );

    let message = "this is YAML but not JSON; the AWS CLI accepts only JSON here";
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    let hint = format!("correct it ({what}), or rename the file to `.yaml`");

    vec![Finding {
        severity: Severity::Warning,
        ..SYNTAX.error(location, message, hint)
    }]
}
