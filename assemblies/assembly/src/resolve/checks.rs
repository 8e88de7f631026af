//! Checks the manifest as a whole: its run mode, and names and values without a purpose.

use diagnostics::Finding;

use super::{AssemblyMember, Role, declared_components};
use crate::manifest::Manifest;
use crate::rules;
use crate::text::suggest;
use crate::values::references;

/// Checks that the manifest has one of `service:` and `on_demand:`, and that the app supports it.
pub(super) fn run_mode(
    manifest: &Manifest,
    members: &[AssemblyMember],
    findings: &mut Vec<Finding>,
) {
    let file = manifest.file();
    match (&file.service, &file.on_demand) {
        (Some(_), Some(_)) => {
            findings.push(rules::m15_service_or_on_demand::both(
                manifest.key_location("", "on_demand"),
            ));
        }
        (None, None) => findings.push(rules::m15_service_or_on_demand::neither(
            manifest.location("/name"),
        )),
        (Some(service), None) if service.min > service.max => {
            let location = manifest.location("/service/min");
            findings.push(rules::m16_invalid_task_count::min_above_max(
                location,
                service.min,
                service.max,
            ));
        }
        // Scaling between two counts needs a metric to follow.
        (Some(service), None) if service.min < service.max && service.target.is_none() => {
            let location = manifest.location("/service/max");
            findings.push(rules::m16_invalid_task_count::no_target(
                location,
                service.min,
                service.max,
            ));
        }
        (None, Some(_)) => {
            let app = members.iter().find(|member| member.role == Role::App);
            let unsupported = app.filter(|app| app.component.file().commands.on_demand.is_none());
            findings.extend(unsupported.map(|app| {
                rules::m20_unsupported_run_mode::no_on_demand_command(
                    app.location.clone(),
                    app.name(),
                )
            }));
        }
        (Some(_), None) => {}
    }
}

/// Reports sections of the manifest that name a component that is not in the task.
pub(super) fn unknown_components(
    manifest: &Manifest,
    members: &[AssemblyMember],
    findings: &mut Vec<Finding>,
) {
    let file = manifest.file();
    let settings = file.settings.keys().map(|name| ("/settings", name));
    let secrets = file.secrets.keys().map(|name| ("/secrets", name));
    let overrides = file.overrides.keys().map(|name| ("/overrides", name));
    let sizes = file.size.containers.keys();
    let sizes = sizes.map(|name| ("/size/containers", name));
    let references = settings.chain(secrets).chain(overrides).chain(sizes);

    // A declared name without a component has its M05 at the declaration, so it counts as known here.
    let declared: Vec<&str> = declared_components(manifest)
        .iter()
        .map(|(_, name, _)| *name)
        .collect();

    for (index, name) in file.order.iter().enumerate() {
        if !declared.contains(&name.as_str()) {
            let hint = suggest(name, declared.iter().copied());
            let location = manifest.location(&format!("/order/{index}"));
            findings.push(rules::m17_not_in_task::not_in_task(location, name, &hint));
        }
    }

    for (list, name) in references {
        if !declared.contains(&name.as_str()) {
            let hint = suggest(name, members.iter().map(AssemblyMember::name));
            let location = manifest.key_location(list, name);
            findings.push(rules::m17_not_in_task::not_in_task(location, name, &hint));
        }
    }
}

/// Reports values of the manifest that nothing in the task refers to.
pub(super) fn unused_values(
    manifest: &Manifest,
    members: &[AssemblyMember],
    findings: &mut Vec<Finding>,
) {
    let mut used: Vec<String> = manifest.references().iter().cloned().collect();
    for member in members {
        let file = member.component.file();
        let resources = file
            .permissions
            .iter()
            .flat_map(|permission| &permission.resources);
        let bundle = member.bundle.as_ref().map(|bundle| &bundle.file().image);
        let texts = resources.chain([&file.image]).chain(bundle);
        used.extend(texts.flat_map(|text| references(text)));
    }

    // These are read without a reference, for ARNs and log options.
    used.extend(["account", "region", "partition", "cluster"].map(str::to_owned));
    for name in manifest.file().values.keys() {
        if !used.contains(name) {
            let location = manifest.key_location("/values", name);
            findings.push(rules::m32_unused_value::unused_value(location, name));
        }
    }
}
