//! Derives the environment variables of a container.

use std::collections::BTreeMap;

use diagnostics::{Location, LocationMap, escape};
use task_definition::KeyValue;

use crate::resolve::AssemblyMember;
use crate::wire::{Wiring, addresses};

/// Returns the container's variables sorted by name: derived ones, replaced by those that the user sets.
pub(super) fn environment(
    wiring: &Wiring,
    index: usize,
    at: &str,
    locations: &mut LocationMap,
) -> Vec<KeyValue> {
    let member = &wiring.assembly.members[index];
    // Later sources replace earlier ones of the same name.
    let mut variables = default_variables(member);
    variables.extend(wiring.containers[index].environment.clone());
    variables.extend(drain_timeout(wiring, member));

    let output_setting = member
        .component
        .file()
        .firelens
        .as_ref()
        .map(|firelens| &firelens.output);

    for (setting, given) in &member.settings {
        // The router's output is set in the log drivers of the other containers, not in its environment.
        if output_setting == Some(setting) {
            continue;
        }
        // Names only: the value stays in Secrets Manager or Parameter Store.
        let name = member.component.variable(setting);
        variables.insert(name, (given.text.clone(), given.location.clone()));
    }

    let mut environment = Vec::new();
    for (name, (value, location)) in variables {
        locations.insert(format!("{at}/environment/{}", environment.len()), location);
        environment.push(KeyValue { name, value });
    }

    environment
}

/// Returns the default settings of a third-party image, which does not read its `component.yaml`.
fn default_variables(member: &AssemblyMember) -> BTreeMap<String, (String, Location)> {
    let component = &member.component;
    let file = component.file();
    if file.container.is_none() {
        return BTreeMap::new();
    }

    // Listen addresses are assigned by the wiring, and secrets have no plain default.
    let listens = addresses(member);
    let output_setting = file.firelens.as_ref().map(|firelens| &firelens.output);
    file.settings
        .iter()
        .filter(|(name, declaration)| {
            let is_address = listens.iter().any(|(setting, _)| setting == *name);
            !is_address
                && !declaration.secret
                && output_setting != Some(name)
                && !member.secrets.contains_key(*name)
        })
        .filter_map(|(name, declaration)| {
            let text = declaration.kind.text(declaration.default.as_ref()?)?;
            let location = component.location(&format!("/settings/{}/default", escape(name)));
            Some((component.variable(name), (text, location)))
        })
        .collect()
}

/// Returns the drain limit of a component that has one: its stop timeout, less the time to flush and exit.
fn drain_timeout(wiring: &Wiring, member: &AssemblyMember) -> Option<(String, (String, Location))> {
    let file = member.component.file();
    file.settings.get("drain_timeout")?;
    let manifest = &wiring.assembly.manifest;
    let overridden = manifest
        .file()
        .overrides
        .get(member.component.name())
        .and_then(|fields| fields.get("stopTimeout")?.as_u64());
    let stop = overridden.unwrap_or_else(|| u64::from(file.stop.timeout));
    // ECS sends SIGKILL at the stop timeout, so the drain must end before it.
    let limit = stop.saturating_sub(u64::from(FLUSH_SECONDS)).max(1);
    let derivation = format!("stopTimeout {stop} s, less {FLUSH_SECONDS} s to flush and exit");
    let location = Location::from_derivation(derivation, Some(member.location.clone()));

    Some((
        member.component.variable("drain_timeout"),
        (format!("{limit}s"), location),
    ))
}

/// Seconds between the end of the drain and SIGKILL, for flushing telemetry and exiting.
pub(crate) const FLUSH_SECONDS: u32 = 5;
