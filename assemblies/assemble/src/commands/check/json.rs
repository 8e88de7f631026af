//! Findings for programs. The shape is told in the README; a change of it changes `version`.

use serde_json::{Value, json};
use task_definition::{Authority, Edit, Finding, Fix, Place, Severity, Silenced};

use super::report::Report;
use crate::talk::written;

/// One object with everything that was found.
pub(super) fn write(report: &Report) -> String {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    let silenced: Vec<Value> = report.silenced.iter().map(silenced).collect();
    let document = json!({
        "version": VERSION,
        "findings": findings,
        "silenced": silenced,
        "total": {
            "errors": report.count(Severity::Error),
            "warnings": report.count(Severity::Warning),
            "silenced": report.silenced.len(),
        },
    });

    format!("{document:#}\n")
}

/// Grows when something is taken away or changes its meaning, not when something is added.
const VERSION: u32 = 1;

/// One finding.
pub(crate) fn finding(finding: &Finding) -> Value {
    let mut object = json!({
        "rule": finding.rule,
        "severity": finding.severity.word(),
        "message": finding.message,
        "hint": finding.hint,
        "pointer": finding.pointer,
    });

    if let Some((file, line, column)) = written(&finding.place) {
        object["file"] = json!(file);
        object["line"] = json!(line);
        object["column"] = json!(column);
    }

    if let Place::Derived { because, .. } = &finding.place {
        object["because"] = json!(because);
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

fn silenced(one: &Silenced) -> Value {
    let mut object = finding(&one.finding);
    let by = match one.ruling.authority {
        Authority::CommandLine => "command line",
        Authority::Manifest => "manifest",
        Authority::File => "file",
    };

    object["reason"] = json!(one.ruling.reason);
    object["by"] = json!(by);
    if let Some((file, line, _)) = written(&one.ruling.place) {
        object["said"] = json!({ "file": file, "line": line });
    }

    object
}
