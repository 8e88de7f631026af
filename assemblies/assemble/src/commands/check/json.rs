//! Findings as JSON. docs/commands.md describes the format; an incompatible change increases `version`.

use diagnostics::{Edit, Finding, Fix, LevelSource, Location, Severity, SuppressedFinding};
use ecs_rules::inputs::NotEvaluated;
use serde_json::{Value, json};

use super::report::Report;
use crate::ui::source_location;

/// Formats the report as one object.
pub(super) fn write(report: &Report) -> String {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    let suppressed: Vec<Value> = report.suppressed.iter().map(suppression).collect();
    let document = json!({
        "version": VERSION,
        "findings": findings,
        "suppressed": suppressed,
        "notEvaluated": report.not_evaluated().iter().map(not_evaluated).collect::<Vec<_>>(),
        "total": {
            "errors": report.count(Severity::Error),
            "warnings": report.count(Severity::Warning),
            "suppressed": report.suppressed.len(),
        },
    });

    format!("{document:#}\n")
}

fn not_evaluated(part: &NotEvaluated) -> Value {
    let mut object = json!({ "message": part.message });
    if let Some((file, line, column)) = source_location(&part.location) {
        object["file"] = json!(file);
        object["line"] = json!(line);
        object["column"] = json!(column);
    }
    object
}

/// Increases when something is removed or changes its meaning, not when something is added.
const VERSION: u32 = 1;

/// Converts one finding.
pub(crate) fn finding(finding: &Finding) -> Value {
    let mut object = json!({
        "rule": finding.rule,
        "severity": finding.severity.as_str(),
        "message": finding.message,
        "hint": finding.hint,
        "pointer": finding.pointer,
    });

    if let Some((file, line, column)) = source_location(&finding.location) {
        object["file"] = json!(file);
        object["line"] = json!(line);
        object["column"] = json!(column);
    }

    // The finding points at the manifest line; this says how the value was derived from it.
    if let Location::Derived { reason, .. } = &finding.location {
        object["because"] = json!(reason);
    }
    if let Some(fix) = &finding.fix {
        object["fix"] = to_json(fix);
    }

    object
}

fn to_json(fix: &Fix) -> Value {
    let edits = fix.edits.iter().map(|edit| match edit {
        Edit::Set(pointer, value) => json!({ "set": pointer, "value": value }),
        Edit::Remove(pointer) => json!({ "remove": pointer }),
    });
    json!({ "title": fix.title, "edits": edits.collect::<Vec<_>>() })
}

fn suppression(suppressed: &SuppressedFinding) -> Value {
    let mut object = finding(&suppressed.finding);
    let source = match suppressed.level_override.source {
        LevelSource::CommandLine => "command line",
        LevelSource::Manifest => "manifest",
        LevelSource::File => "file",
    };

    object["reason"] = json!(suppressed.level_override.reason);
    object["source"] = json!(source);
    if let Some((file, line, _)) = source_location(&suppressed.level_override.location) {
        object["location"] = json!({ "file": file, "line": line });
    }

    object
}
