//! Links each requirement of a member to the member that provides it.

use diagnostics::Finding;

use super::{AssemblyMember, Link, Role, RunMode};
use crate::component::{RequiredInterface, UPSTREAM};
use crate::manifest::Manifest;
use crate::rules;

/// The interface that receives telemetry.
const OTLP: &str = "otlp";

/// Returns a link for each requirement that another member meets, and reports the unmet ones.
pub(super) fn links(
    members: &[AssemblyMember],
    manifest: &Manifest,
    findings: &mut Vec<Finding>,
) -> Vec<Link> {
    let mut links = Vec::new();
    for (user, member) in members.iter().enumerate() {
        for (requirement, required) in &member.component.file().requires {
            // An address that the user sets may be outside of the task, so it needs no provider.
            if member.settings.contains_key(&required.setting) {
                continue;
            }
            let provider = if requirement == UPSTREAM && member.role == Role::Ingress {
                next_hop(members, user, required, manifest, findings)
            } else {
                find_provider(members, user, required, findings)
            };

            links.extend(provider.map(|provider| Link {
                user,
                provider,
                requirement: Some(requirement.clone()),
                interface: required.interface.clone(),
            }));
        }
        if member.component.file().telemetry {
            let provider = members
                .iter()
                .position(|other| provides(other, OTLP))
                .filter(|provider| *provider != user);
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

/// Reports sidecars for telemetry that no container uses, because another one is before them.
pub(super) fn unused_telemetry(
    members: &[AssemblyMember],
    links: &[Link],
    findings: &mut Vec<Finding>,
) {
    let Some(used) = links.iter().find(|link| link.requirement.is_none()) else {
        return;
    };
    for (index, member) in members.iter().enumerate() {
        let is_used = links.iter().any(|link| link.provider == index);
        if member.role == Role::Sidecar && provides(member, OTLP) && !is_used {
            let used = members[used.provider].name();
            findings.push(rules::m48_unused_telemetry::unused_telemetry(
                member.location.clone(),
                member.name(),
                used,
            ));
        }
    }
}

fn provides(member: &AssemblyMember, interface: &str) -> bool {
    member.component.file().provides.contains_key(interface)
}

/// Returns the upstream of an ingress hop: the next hop, or the app.
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

    // An unknown name already has its finding (M05), so the search just ends here.
    let next = members
        .iter()
        .position(|member| member.component.name() == chain[behind].as_str())?;
    if provides(&members[next], &required.interface) {
        return Some(next);
    }

    let next = &members[next];
    let interfaces: Vec<String> = next
        .component
        .file()
        .provides
        .keys()
        .map(|interface| format!("`{interface}`"))
        .collect();
    let provided = if interfaces.is_empty() {
        "nothing".to_owned()
    } else {
        interfaces.join(", ")
    };

    let location = next.location.clone();
    findings.push(rules::m08_protocol_mismatch::mismatch(
        location,
        hop.name(),
        &required.interface,
        next.name(),
        &provided,
    ));

    None
}

/// Returns the one other member that provides a required interface.
///
/// Ingress hops do not count: they provide the interface on behalf of the app behind them.
fn find_provider(
    members: &[AssemblyMember],
    user: usize,
    required: &RequiredInterface,
    findings: &mut Vec<Finding>,
) -> Option<usize> {
    let member = &members[user];
    let (interface, setting) = (&required.interface, &required.setting);

    let providers: Vec<usize> = members
        .iter()
        .enumerate()
        .filter(|(index, other)| {
            *index != user
                && other.role != Role::Ingress
                && other.run_mode == RunMode::Service
                && provides(other, interface)
        })
        .map(|(index, _)| index)
        .collect();
    match providers[..] {
        [] if required.optional => None,
        [] => {
            let location = member.location.clone();
            findings.push(rules::m09_unmet_requirement::unmet(
                location,
                member.name(),
                interface,
                setting,
            ));
            None
        }
        [provider] => Some(provider),
        // With several providers the user must name one in the setting.
        [..] => {
            let names: Vec<String> = providers
                .iter()
                .map(|provider| format!("`{}`", members[*provider].name()))
                .collect();
            findings.push(rules::m09_unmet_requirement::ambiguous(
                member.location.clone(),
                member.name(),
                interface,
                &names.join(" and "),
                setting,
            ));
            None
        }
    }
}
