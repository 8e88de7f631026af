//! Findings as SARIF 2.1.0, for code scanning.
//!
//! Paths are given from `%SRCROOT%`, the project's folder. A result keeps its fingerprint when lines
//! move: it is made of the rule, the file, the value's name and the message, not of the line.

use std::fmt::Write as _;

use serde_json::{Value, json};
use task_definition::{Finding, Place, Severity, Silenced, mend};

use super::fix::is_mendable;
use super::report::Report;
use crate::commands::rules::{Row, all};
use crate::project::Project;
use crate::talk::written;

/// One run with everything that was found, what is silenced included.
pub(super) fn write(report: &Report, project: &Project) -> String {
    let rules = all();
    let mut writer = Writer {
        report,
        rules: &rules,
        project,
        fingerprints: Vec::new(),
    };

    let told = report.findings.iter().map(|finding| (finding, None));
    let silenced = report.silenced.iter().map(|one| (&one.finding, Some(one)));
    let results: Vec<Value> = told
        .chain(silenced)
        .map(|(finding, silenced)| writer.result(finding, silenced))
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
                "%SRCROOT%": { "description": { "text": "The folder that holds assemblies/." } },
            },
            "results": results,
        }],
    });

    format!("{document:#}\n")
}

fn descriptor(rule: &Row) -> Value {
    let about = if rule.id.starts_with('M') {
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
        "defaultConfiguration": { "level": rule.severity.word() },
        "properties": { "tags": [about] },
    })
}

struct Writer<'w> {
    report: &'w Report,
    rules: &'w [Row],
    project: &'w Project,
    /// Those given so far: a second finding with the same words gets another one.
    fingerprints: Vec<String>,
}

impl Writer<'_> {
    fn result(&mut self, finding: &Finding, silenced: Option<&Silenced>) -> Value {
        let mut message = finding.message.clone();
        if let Place::Derived { because, .. } = &finding.place {
            let _ = write!(message, " (worked out: {because})");
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

        // An empty list says that nothing is suppressed, which a viewer can rely on.
        result["suppressions"] = match silenced {
            Some(one) => json!([self.suppression(one)]),
            None => json!([]),
        };

        result
    }

    fn location(&self, finding: &Finding) -> Value {
        let mut location = json!({});
        if let Some(physical) = self.physical(&finding.place) {
            location["physicalLocation"] = physical;
        }
        if let Some(pointer) = finding.pointer.as_deref().filter(|one| !one.is_empty()) {
            let name = pointer.rsplit('/').next().unwrap_or_default();
            location["logicalLocations"] =
                json!([{ "name": name, "fullyQualifiedName": pointer, "kind": "value" }]);
        }
        location
    }

    fn physical(&self, place: &Place) -> Option<Value> {
        match place {
            Place::Text {
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
                    "endColumn": end_column.max(&(column + 1)),
                    "snippet": { "text": excerpt_line },
                },
            })),
            Place::Derived { from, .. } => self.physical(from.as_deref()?),
            Place::Pointer(_) => None,
        }
    }

    fn artifact(&self, file: &str) -> Value {
        let path = self.project.path_of(file);
        if path.starts_with('/') {
            json!({ "uri": format!("file://{}", encoded(&path)) })
        } else {
            json!({ "uri": encoded(&path), "uriBaseId": "%SRCROOT%" })
        }
    }

    /// What mending this finding alone replaces in the text.
    fn fix(&self, finding: &Finding) -> Option<Value> {
        let fix = finding.fix.as_ref()?;
        let (file, _, _) = written(&finding.place)?;
        let source = self.report.source(file).filter(|one| is_mendable(one))?;
        let mended = mend(source, std::slice::from_ref(fix)).ok()?;

        Some(json!({
            "description": { "text": fix.title },
            "artifactChanges": [{
                "artifactLocation": self.artifact(file),
                "replacements": [replacement(&source.text, &mended)?],
            }],
        }))
    }

    fn suppression(&self, one: &Silenced) -> Value {
        // What a manifest says of itself stands in the source that is judged.
        let in_source = one.ruling.authority == task_definition::Authority::Manifest;
        let mut suppression = json!({
            "kind": if in_source { "inSource" } else { "external" },
            "status": "accepted",
            "justification": one.ruling.reason,
        });
        if let Some(physical) = self.physical(&one.ruling.place) {
            suppression["location"] = json!({ "physicalLocation": physical });
        }
        suppression
    }

    fn fingerprint(&mut self, finding: &Finding) -> String {
        let file = written(&finding.place).map(|(file, _, _)| file);
        let file = file.map(|file| self.project.path_of(file));
        let pointer = finding.pointer.as_deref().unwrap_or_default();
        let words = [
            finding.rule,
            file.as_deref().unwrap_or_default(),
            pointer,
            &finding.message,
        ];

        let first = hash(&words.join("\0"));
        let again = self
            .fingerprints
            .iter()
            .filter(|one| **one == first)
            .count();

        self.fingerprints.push(first.clone());
        format!("{first}:{}", again + 1)
    }
}

/// The smallest part of a text that has to be replaced to make another one of it.
fn replacement(before: &str, after: &str) -> Option<Value> {
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

/// Line and column, from 1, of what follows.
fn position(before: &[char]) -> (usize, usize) {
    let lines = before.iter().filter(|c| **c == '\n').count();
    let column = before.iter().rev().take_while(|c| **c != '\n').count();
    (lines + 1, column + 1)
}

/// FNV-1a: short, and the same for ever, which the standard library's hash does not promise.
fn hash(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// A path as part of a URI.
fn encoded(path: &str) -> String {
    let mut uri = String::new();
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
    use super::{encoded, hash, replacement};

    #[test]
    fn a_replacement_is_as_small_as_it_can_be() {
        let found = replacement("a: 1\nb: bridge\nc: 3\n", "a: 1\nb: awsvpc\nc: 3\n");
        let expected = serde_json::json!({
            "deletedRegion": { "startLine": 2, "startColumn": 4, "endLine": 2, "endColumn": 10 },
            "insertedContent": { "text": "awsvpc" },
        });
        assert_eq!(found, Some(expected));
        assert_eq!(replacement("same", "same"), None);
    }

    #[test]
    fn a_path_becomes_a_uri() {
        assert_eq!(encoded("a b/ü.yaml"), "a%20b/%C3%BC.yaml");
        assert_eq!(encoded("assemblies/shop.yaml"), "assemblies/shop.yaml");
    }

    #[test]
    fn fingerprints_are_the_same_for_ever() {
        // The published value of the algorithm for this text.
        assert_eq!(hash("foobar"), "85944171f73967e8");
    }
}
