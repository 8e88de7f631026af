//! Who gives what to whom.

use task_definition::Finding;

use super::{AssemblyMember, Link, Role, RunMode};
use crate::component::{RequiredInterface, UPSTREAM};
use crate::manifest::Manifest;
use crate::rules;

/// The interface of telemetry.
const OTLP: &str = "otlp";

/// Every requirement of every member, answered by another member where there is one.
pub(super) fn links(
    members: &[AssemblyMember],
    manifest: &Manifest,
    findings: &mut Vec<Finding>,
) -> Vec<Link> {
    let mut links = Vec::new();
    for (user, member) in members.iter().enumerate() {
        for (requirement, required) in &member.component.file().requires {
            // An address the user wrote down is the user's business.
            if member.settings.contains_key(&required.setting) {
                continue;
            }
            let provider = if requirement == UPSTREAM && member.role == Role::Ingress {
                next_hop(members, user, required, manifest, findings)
            } else {
                beside(members, user, required, findings)
            };

            links.extend(provider.map(|provider| Link {
                user,
                provider,
                requirement: Some(requirement.clone()),
                interface: required.interface.clone(),
            }));
        }
        if member.component.file().telemetry {
            let provider = members.iter().position(|other| offers(other, OTLP));
            let provider = provider.filter(|provider| *provider != user);
            links.extend(provider.map(|provider| Link {
                user,
                provider,
                requirement: None,
                interface: OTLP.to_owned(),
            }));
        }
    }

    links
}

fn offers(member: &AssemblyMember, interface: &str) -> bool {
    member.component.file().provides.contains_key(interface)
}

/// A hop hands on to the member behind it: the next hop, or the app.
fn next_hop(
    members: &[AssemblyMember],
    user: usize,
    required: &RequiredInterface,
    manifest: &Manifest,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
    let hop = &members[user];
    let file = manifest.file();
    let chain: Vec<&String> = file.ingress.iter().chain([&file.app]).collect();
    let behind = chain
        .iter()
        .position(|name| *name == hop.component.name())?
        + 1;

    // A name that could not be found has had its finding.
    let next = members
        .iter()
        .position(|one| one.component.name() == chain[behind].as_str())?;
    if offers(&members[next], &required.interface) {
        return Some(next);
    }

    let next = &members[next];
    let offered = next.component.file().provides.keys();
    let offered: Vec<String> = offered.map(|interface| format!("`{interface}`")).collect();
    let offered = if offered.is_empty() {
        "nothing".to_owned()
    } else {
        offered.join(", ")
    };

    let place = next.place.clone();
    let wants = &required.interface;
    findings.push(rules::m08_protocol_mismatch::mismatch(
        place,
        hop.name(),
        wants,
        next.name(),
        &offered,
    ));

    None
}

/// Somebody beside: not the member itself, and not a hop, which stands for what is behind it.
fn beside(
    members: &[AssemblyMember],
    user: usize,
    required: &RequiredInterface,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
    let member = &members[user];
    let (interface, setting) = (&required.interface, &required.setting);
    let others = members.iter().enumerate().filter(|(other, one)| {
        *other != user
            && one.role != Role::Ingress
            && one.run_mode == RunMode::Service
            && offers(one, interface)
    });

    let providers: Vec<usize> = others.map(|(other, _)| other).collect();
    match providers[..] {
        [] if required.optional => None,
        [] => {
            let place = member.place.clone();
            findings.push(rules::m09_unmet_requirement::unmet(
                place,
                member.name(),
                interface,
                setting,
            ));
            None
        }
        [provider] => Some(provider),
        [..] => {
            let names: Vec<String> = providers
                .iter()
                .map(|one| format!("`{}`", members[*one].name()))
                .collect();
            let (place, offers) = (member.place.clone(), names.join(" and "));
            let finding = rules::m09_unmet_requirement::ambiguous(
                place,
                member.name(),
                interface,
                &offers,
                setting,
            );

            findings.push(finding);
            None
        }
    }
}
