//! Checks the manifest's sections about running tasks: scaling, secret keys, stack sections.

use diagnostics::Finding;

use crate::manifest::{Manifest, Service, Target};
use crate::rules;

/// Returns the findings of these sections.
pub(super) fn check(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = check_secret_keys(manifest);
    findings.extend(check_stack_sections(manifest));
    if let Some(service) = &manifest.file().service {
        check_scaling(manifest, service, &mut findings);
    }
    findings
}

/// Checks the scaling fields of `service:` against each other.
fn check_scaling(manifest: &Manifest, service: &Service, findings: &mut Vec<Finding>) {
    let scales = service.min < service.max && service.target.is_some();
    let scaling_fields = [
        ("cooldown", service.cooldown.is_some()),
        ("scale_in", !service.scale_in),
        ("resolution", service.resolution.is_some()),
    ];

    if service.min == 0 && scales {
        let location = manifest.location("/service/min");
        findings.push(rules::m47_scaling_from_zero::scaling_from_zero(location));
    }

    // With `min` above `max`, or a range without a target, M16 reports the cause instead.
    if !scales && service.min == service.max {
        for (field, _) in scaling_fields.iter().filter(|(_, is_set)| *is_set) {
            let location = manifest.key_location("/service", field);
            findings.push(rules::m39_scaling_without_range::without_effect(
                location, field,
            ));
        }
        return;
    }

    let Some(seconds) = service.resolution else {
        return;
    };
    let location = manifest.location("/service/resolution");
    let has_high_resolution = |target: &Target| target.cpu.is_some() || target.memory.is_some();

    // Only the predefined CPU and memory metrics of ECS exist in a 20-second variant.
    if !matches!(seconds, 20 | 60) {
        findings.push(rules::m38_invalid_resolution::invalid_resolution(
            location, seconds,
        ));
    } else if seconds == 20 && !service.target.as_ref().is_some_and(has_high_resolution) {
        findings.push(rules::m38_invalid_resolution::no_high_resolution_target(
            location,
        ));
    }
}

fn check_secret_keys(manifest: &Manifest) -> Vec<Finding> {
    let keys = manifest.file().secret_keys.iter().enumerate();
    keys.filter(|(_, key)| !rules::m36_invalid_kms_key::is_key_arn(key))
        .map(|(index, key)| {
            let location = manifest.location(&format!("/secret_keys/{index}"));
            rules::m36_invalid_kms_key::invalid_key(location, key)
        })
        .collect()
}

/// Reports sections under `stack:` that a CloudFormation template does not have.
fn check_stack_sections(manifest: &Manifest) -> Vec<Finding> {
    let stack = manifest.file().stack.iter().flat_map(|stack| stack.keys());
    let unknown =
        stack.filter(|name| !rules::m44_unknown_stack_section::SECTIONS.contains(&name.as_str()));
    let location = |name: &String| manifest.key_location("/stack", name);
    unknown
        .map(|name| rules::m44_unknown_stack_section::unknown_section(location(name), name))
        .collect()
}
