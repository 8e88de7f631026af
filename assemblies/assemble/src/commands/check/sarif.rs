//! Findings as SARIF 2.1.0, for code scanning.
//!
//! Paths are relative to `%SRCROOT%`, the project directory. A result keeps its fingerprint when lines
//! move: it is a hash of the rule, the file, the pointer and the message, not of the line.

use std::fmt::Write as _;

use diagnostics::{Finding, Location, Severity, SuppressedFinding};
use serde_json::{Value, json};
use task_definition::apply_fixes;

use super::fix::is_fixable;
use super::report::Report;
use crate::commands::rules::{Row, all};
use crate::project::Project;
use crate::ui::source_location;

/// Formats one run with all findings, suppressed ones included.
pub(super) fn write(report: &Report, project: &Project) -> String {
    let rules = all();
    let mut writer = Writer {
        report,
        rules: &rules,
        project,
        fingerprints: Vec::new(),
    };

    let reported = report.findings.iter().map(|finding| (finding, None));
    let suppressed = report
        .suppressed
        .iter()
        .map(|entry| (&entry.finding, Some(entry)));
    let results: Vec<Value> = reported
        .chain(suppressed)
        .map(|(finding, suppressed)| writer.result(finding, suppressed))
        .collect();
    let document = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "assemble",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(descriptor).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {
                "%SRCROOT%": { "description": { "text": "The directory with assemblies/." } },
            },
            "results": results,
        }],
    });

    format!("{document:#}\n")
}

fn descriptor(rule: &Row) -> Value {
    let subject = if rule.id.starts_with('M') {
        "manifest"
    } else {
        "task-definition"
    };

    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.explanation },
        "help": {
            "text": format!("{}\n\n{}\n\nSource: {}", rule.explanation, rule.hint, rule.source),
            "markdown": rule.markdown(""),
        },
        "defaultConfiguration": { "level": rule.severity.as_str() },
        "properties": { "tags": [subject] },
    })
}

struct Writer<'w> {
    report: &'w Report,
    rules: &'w [Row],
    project: &'w Project,
    /// The fingerprints so far: a second equal finding gets another one.
    fingerprints: Vec<String>,
}

impl Writer<'_> {
    fn result(&mut self, finding: &Finding, suppressed: Option<&SuppressedFinding>) -> Value {
        let mut message = finding.message.clone();
        if let Location::Derived { reason, .. } = &finding.location {
            let _ = write!(message, " (derived: {reason})");
        }

        if !finding.hint.is_empty() {
            let _ = write!(message, "; hint: {}", finding.hint);
        }
        let level = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };

        let mut result = json!({
            "ruleId": finding.rule,
            "level": level,
            "message": { "text": message },
            "locations": [self.location(finding)],
            "partialFingerprints": { "assembleFinding/v1": self.fingerprint(finding) },
        });

        if let Some(index) = self.rules.iter().position(|rule| rule.id == finding.rule) {
            result["ruleIndex"] = json!(index);
        }
        if let Some(fix) = self.fix(finding) {
            result["fixes"] = json!([fix]);
        }

        // SARIF 2.1.0, section 3.27.23: an empty array states that the result is not suppressed.
        result["suppressions"] = match suppressed {
            Some(entry) => json!([self.suppression(entry)]),
            None => json!([]),
        };

        result
    }

    fn location(&self, finding: &Finding) -> Value {
        let mut location = json!({});
        if let Some(physical) = self.physical(&finding.location) {
            location["physicalLocation"] = physical;
        }
        if let Some(pointer) = finding
            .pointer
            .as_deref()
            .filter(|pointer| !pointer.is_empty())
        {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            location["logicalLocations"] =
                json!([{ "name": name, "fullyQualifiedName": pointer, "kind": "value" }]);
        }
        location
    }

    fn physical(&self, location: &Location) -> Option<Value> {
        match location {
            Location::Text {
                file,
                line,
                column,
                end_column,
                excerpt_line,
                ..
            } => Some(json!({
                "artifactLocation": self.artifact(file),
                "region": {
                    "startLine": line,
                    "startColumn": column,
                    // A region must not be empty, or viewers show no mark.
                    "endColumn": end_column.max(&(column + 1)),
                    "snippet": { "text": excerpt_line },
                },
            })),
            Location::Derived { from, .. } => self.physical(from.as_deref()?),
            Location::Pointer(_) => None,
        }
    }

    fn artifact(&self, file: &str) -> Value {
        let path = self.project.path_of(file);
        if path.starts_with('/') {
            json!({ "uri": format!("file://{}", encode_path(&path)) })
        } else {
            json!({ "uri": encode_path(&path), "uriBaseId": "%SRCROOT%" })
        }
    }

    /// Returns the replacement that this finding's fix makes in the text.
    fn fix(&self, finding: &Finding) -> Option<Value> {
        let fix = finding.fix.as_ref()?;
        let (file, _, _) = source_location(&finding.location)?;
        let source = self
            .report
            .source(file)
            .filter(|source| is_fixable(source))?;
        let fixed = apply_fixes(source, std::slice::from_ref(fix)).ok()?;

        Some(json!({
            "description": { "text": fix.title },
            "artifactChanges": [{
                "artifactLocation": self.artifact(file),
                "replacements": [replacement(&source.text, &fixed)?],
            }],
        }))
    }

    fn suppression(&self, entry: &SuppressedFinding) -> Value {
        // A suppression in a manifest is in the checked source itself.
        let in_source = entry.level_override.source == diagnostics::LevelSource::Manifest;
        let mut suppression = json!({
            "kind": if in_source { "inSource" } else { "external" },
            "status": "accepted",
            "justification": entry.level_override.reason,
        });
        if let Some(physical) = self.physical(&entry.level_override.location) {
            suppression["location"] = json!({ "physicalLocation": physical });
        }
        suppression
    }

    fn fingerprint(&mut self, finding: &Finding) -> String {
        let file = source_location(&finding.location).map(|(file, _, _)| file);
        let file = file.map(|file| self.project.path_of(file));
        let pointer = finding.pointer.as_deref().unwrap_or_default();
        let parts = [
            finding.rule,
            file.as_deref().unwrap_or_default(),
            pointer,
            &finding.message,
        ];

        let first = hash(&parts.join("\0"));
        // The number keeps the fingerprints of equal findings apart.
        let again = self
            .fingerprints
            .iter()
            .filter(|hash| **hash == first)
            .count();

        self.fingerprints.push(first.clone());
        format!("{first}:{}", again + 1)
    }
}

/// Returns the smallest replacement that turns one text into the other.
fn replacement(before: &str, after: &str) -> Option<Value> {
    // Columns count code points (`columnKind`), so this compares characters, not bytes.
    let (old, new): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let ends = old[start..].iter().rev().zip(new[start..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let (start_line, start_column) = position(&old[..start]);
    let (end_line, end_column) = position(&old[..old.len() - tail]);
    let inserted: String = new[start..new.len() - tail].iter().collect();

    (before != after).then(|| {
        json!({
            "deletedRegion": {
                "startLine": start_line, "startColumn": start_column,
                "endLine": end_line, "endColumn": end_column,
            },
            "insertedContent": { "text": inserted },
        })
    })
}

/// Returns line and column, counted from 1, of what follows.
fn position(before: &[char]) -> (usize, usize) {
    let lines = before.iter().filter(|c| **c == '\n').count();
    let column = before.iter().rev().take_while(|c| **c != '\n').count();
    (lines + 1, column + 1)
}

/// FNV-1a: short and stable, which the standard library's hash does not promise.
fn hash(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Percent-encodes a path for a URI.
fn encode_path(path: &str) -> String {
    let mut uri = String::new();
    // RFC 3986: unreserved characters, and `/` between segments.
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::{encode_path, hash, replacement};

    #[test]
    fn replaces_only_what_differs() {
        let found = replacement("a: 1\nb: bridge\nc: 3\n", "a: 1\nb: awsvpc\nc: 3\n");
        let expected = serde_json::json!({
            "deletedRegion": { "startLine": 2, "startColumn": 4, "endLine": 2, "endColumn": 10 },
            "insertedContent": { "text": "awsvpc" },
        });
        assert_eq!(found, Some(expected));
        assert_eq!(replacement("same", "same"), None);
    }

    #[test]
    fn encodes_a_path_as_uri() {
        assert_eq!(encode_path("a b/ü.yaml"), "a%20b/%C3%BC.yaml");
        assert_eq!(encode_path("assemblies/shop.yaml"), "assemblies/shop.yaml");
    }

    #[test]
    fn fingerprints_are_stable() {
        // The published value of the algorithm for this text.
        assert_eq!(hash("foobar"), "85944171f73967e8");
    }
}
