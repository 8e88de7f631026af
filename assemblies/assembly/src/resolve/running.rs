//! Words about how tasks are run, held against each other.

use task_definition::Finding;

use crate::manifest::{Manifest, Service, Target};
use crate::rules;

/// What is wrong with them.
pub(super) fn judge(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = keys(manifest);
    findings.extend(sections(manifest));
    if let Some(service) = &manifest.file().service {
        scaling(manifest, service, &mut findings);
    }
    findings
}

/// Words about scaling.
fn scaling(manifest: &Manifest, service: &Service, findings: &mut Vec<Finding>) {
    let scales = service.min < service.max && service.target.is_some();
    let idle = [
        ("cooldown", service.cooldown.is_some()),
        ("scale_in", !service.scale_in),
        ("resolution", service.resolution.is_some()),
    ];

    // A range that is wrong has its own finding, and then the word is not idle.
    if !scales && service.min == service.max {
        for (word, _) in idle.iter().filter(|(_, said)| *said) {
            let place = manifest.key_place("/service", word);
            findings.push(rules::m39_scaling_without_range::without_effect(
                place, word,
            ));
        }
        return;
    }

    let Some(seconds) = service.resolution else {
        return;
    };
    let place = manifest.place("/service/resolution");
    let finer = |target: &Target| target.cpu.is_some() || target.memory.is_some();

    if !matches!(seconds, 20 | 60) {
        findings.push(rules::m38_invalid_resolution::invalid_resolution(
            place, seconds,
        ));
    } else if seconds == 20 && !service.target.as_ref().is_some_and(finer) {
        findings.push(rules::m38_invalid_resolution::no_high_resolution_target(
            place,
        ));
    }
}

fn keys(manifest: &Manifest) -> Vec<Finding> {
    let keys = manifest.file().secret_keys.iter().enumerate();
    let wrong = keys.filter(|(_, key)| !rules::m36_invalid_kms_key::is_key_arn(key));
    wrong
        .map(|(index, key)| {
            let place = manifest.place(&format!("/secret_keys/{index}"));
            rules::m36_invalid_kms_key::invalid_key(place, key)
        })
        .collect()
}

/// Sections that no template has.
fn sections(manifest: &Manifest) -> Vec<Finding> {
    let stack = manifest.file().stack.iter().flat_map(|stack| stack.keys());
    let unknown =
        stack.filter(|name| !rules::m44_unknown_stack_section::SECTIONS.contains(&name.as_str()));
    let place = |name: &String| manifest.key_place("/stack", name);
    unknown
        .map(|name| rules::m44_unknown_stack_section::unknown_section(place(name), name))
        .collect()
}
