//! Checks definitions for EC2 as if they were for Fargate: each finding is a change.

use std::collections::BTreeSet;

use diagnostics::{Edit, Finding, Fix, Location, LocationMap, Severity};
use serde_json::{Value, json};

use super::check::with_values;
use super::document::{Document, DocumentKind, ParsedInput};
use crate::rules::rule;

/// Makes the documents of an input those of Fargate, and returns a finding for each setting that this changes.
pub fn retarget_to_fargate(input: &mut ParsedInput) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for documents in &mut input.variants {
        for document in documents {
            let found = match &document.kind {
                DocumentKind::Definition(_) => retarget_definition(document),
                DocumentKind::Launch(..) => retarget_request(document),
            };
            for finding in found {
                let finding = document.source_map.translate(finding);
                // Equal documents of several variants have equal findings.
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
    }
    findings
}

/// Sets `requiresCompatibilities`, so that every rule about Fargate applies.
fn retarget_definition(document: &mut Document) -> Vec<Finding> {
    document
        .unknowns
        .retain(|unknown| !unknown.pointer.starts_with(COMPATIBILITIES));
    let DocumentKind::Definition(located) = &mut document.kind else {
        return Vec::new();
    };
    let before = located.definition.requires_compatibilities.clone();
    if before.iter().any(|word| word == FARGATE) {
        return Vec::new();
    }

    located.definition.requires_compatibilities = vec![FARGATE.to_owned()];
    set(&mut document.json, COMPATIBILITIES, json!([FARGATE]));

    // ECS accepts a launch on Fargate without the word, if the definition fits.
    let (severity, message) = if before.is_empty() {
        let message = "the definition does not say that it is for Fargate, so ECS does not check it when it is registered";
        (Severity::Warning, message.to_owned())
    } else {
        (
            Severity::Error,
            format!("the definition is for {}", before.join(", ")),
        )
    };
    let hint = "write \"requiresCompatibilities\": [\"FARGATE\"]";
    let mut finding = change(&located.locations, COMPATIBILITIES, message, hint);
    finding.severity = severity;
    let edit = Edit::Set(COMPATIBILITIES.to_owned(), json!([FARGATE]));
    finding.fix = Some(Fix {
        title: hint.to_owned(),
        edits: vec![edit],
    });
    vec![finding]
}

/// Replaces the launch type or the capacity providers of a service or request.
fn retarget_request(document: &mut Document) -> Vec<Finding> {
    let unknown: BTreeSet<String> = document.unknown_values().map(str::to_owned).collect();
    let DocumentKind::Launch(request, locations) = &mut document.kind else {
        return Vec::new();
    };
    let noun = request.noun();
    let mut findings = Vec::new();
    let json = &mut document.json;

    if let Some(other) = request.launch_type().filter(|launch| *launch != FARGATE) {
        let message = format!("{noun} has launch type {other}");
        findings.push(change(locations, "/launchType", message, "write FARGATE"));
        set(json, "/launchType", json!(FARGATE));
    } else if !request.is_fargate() && !request.capacity_providers().is_empty() {
        let names: Vec<&str> = request
            .capacity_providers()
            .iter()
            .map(|item| item.capacity_provider.as_str())
            .collect();
        let message = format!("{noun} runs on the capacity provider {}", names.join(", "));
        let hint = "use FARGATE, and FARGATE_SPOT for tasks that may be interrupted";
        findings.push(change(
            locations,
            "/capacityProviderStrategy",
            message,
            hint,
        ));
        set(
            json,
            "/capacityProviderStrategy",
            json!([{ "capacityProvider": FARGATE, "weight": 1 }]),
        );
    } else if !request.is_fargate() {
        let message =
            format!("{noun} has neither a launch type nor a capacity provider, and may run on EC2");
        let mut finding = change(
            locations,
            "/launchType",
            message,
            "add \"launchType\": \"FARGATE\"",
        );
        finding.severity = Severity::Warning;
        findings.push(finding);
        set(json, "/launchType", json!(FARGATE));
    }

    // The rule about it reads the network mode of the definition, which may be another one now.
    if request.network().is_none() && !unknown.contains("/networkConfiguration") {
        let message = format!("{noun} has no network configuration, which awsvpc needs");
        let hint = "add \"networkConfiguration\" with the subnets of the tasks";
        findings.push(change(locations, "/networkConfiguration", message, hint));
    }
    if let Some(changed) = with_values(request, json) {
        *request = changed;
    }
    findings
}

fn set(json: &mut Value, pointer: &str, value: Value) {
    if let (Value::Object(fields), Some(name)) = (json, pointer.strip_prefix('/')) {
        fields.insert(name.to_owned(), value);
    }
}

/// Returns an error of the rule about launches on Fargate.
fn change(
    locations: &LocationMap,
    pointer: &str,
    message: impl Into<String>,
    hint: impl Into<String>,
) -> Finding {
    let location: Location = locations.get(pointer);
    let source = rule(LAUNCH_CONFLICT).map_or("", |rule| rule.source);
    Finding::error(LAUNCH_CONFLICT, location, message, hint)
        .with_source(source)
        .with_pointer(pointer)
}

const FARGATE: &str = "FARGATE";
const COMPATIBILITIES: &str = "/requiresCompatibilities";
const LAUNCH_CONFLICT: &str = "Q02";
