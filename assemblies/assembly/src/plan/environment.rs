//! Checks the environment of the final definition against the components' declarations.
//!
//! `overrides:` and `patch:` replace derived and checked fields, so their variables are checked here.
//!
//! A single variable takes precedence over a settings document, and `environment` over
//! `environmentFiles`. An address in a container's `environment` is therefore final.

use diagnostics::{Finding, Location};
use task_definition::LocatedDefinition;

use crate::resolve::{AssemblyMember, RunMode};
use crate::text::suggest;
use crate::wire::{self, Wiring, addresses, may_be_public};
use crate::{component::Component, rules};

/// Checks each variable with a component's prefix, and each address that a component listens on.
pub(super) fn check(wiring: &Wiring, located: &LocatedDefinition) -> Vec<Finding> {
    let members = wiring.assembly.members.iter().enumerate();
    members
        .flat_map(|(index, member)| {
            let variables = variables(located, index);
            // Names, then values, then addresses: a misspelt name explains a missing address.
            let mut findings = check_names(&member.component, &variables);
            findings.extend(check_values(member, &variables));
            findings.extend(check_addresses(wiring, index, &variables, located));
            findings
        })
        .collect()
}

/// A variable of a container.
struct Variable<'l> {
    name: &'l str,
    /// `None` for a secret.
    value: Option<&'l str>,
    /// The location of its name.
    name_place: Location,
    /// The location of its value.
    location: Location,
}

/// Returns the variables of a member's container.
fn variables(located: &LocatedDefinition, index: usize) -> Vec<Variable<'_>> {
    // Containers keep the order of the members: a patch merges the list by name and can only append.
    let Some(container) = located.definition.container_definitions.get(index) else {
        return Vec::new();
    };
    let location = |list: &str, item: usize, field: &str| {
        let pointer = format!("/containerDefinitions/{index}/{list}/{item}/{field}");
        located.locations.get(&pointer)
    };
    let variables = container.environment.iter().enumerate();
    let variables = variables.map(|(item, variable)| Variable {
        name: &variable.name,
        value: Some(&variable.value),
        name_place: location("environment", item, "name"),
        location: location("environment", item, "value"),
    });

    let secrets = container.secrets.iter().enumerate();
    let secrets = secrets.map(|(item, secret)| Variable {
        name: &secret.name,
        value: None,
        name_place: location("secrets", item, "name"),
        location: location("secrets", item, "valueFrom"),
    });

    variables.chain(secrets).collect()
}

/// Reports variables with the component's prefix that match none of its settings.
fn check_names(component: &Component, variables: &[Variable<'_>]) -> Vec<Finding> {
    let file = component.file();
    let admin = file.admin.iter().map(|admin| &admin.setting);
    let settings = file.settings.keys().chain(admin);
    let known: Vec<String> = settings
        .map(|setting| component.variable(setting))
        .collect();
    let prefix = component.prefix();
    let mut findings = Vec::new();

    for Variable {
        name, name_place, ..
    } in variables
    {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        let (location, component_name) = (name_place.clone(), component.name());

        if known.iter().any(|known| known == name) {
            continue;
        }
        // A document of settings is read at start, so its contents cannot be checked here.
        findings.push(if matches!(rest, "SETTINGS" | "SETTINGS_FILE") {
            rules::m23_opaque_settings::settings_document(location, component_name, name)
        } else {
            let hint = suggest(name, known.iter().map(String::as_str));
            rules::m10_unknown_setting::unknown_variable(location, component_name, name, &hint)
        });
    }

    findings
}

/// Reports variables with an invalid value.
///
/// Skips the settings under `settings:`, which are checked at resolution, and listen addresses, which
/// `check_addresses` checks.
fn check_values(member: &AssemblyMember, variables: &[Variable<'_>]) -> Vec<Finding> {
    let component = &member.component;
    let listens = addresses(member);
    let is_checked = |setting: &String| {
        member.settings.contains_key(setting) || listens.iter().any(|(listen, _)| listen == setting)
    };
    let unchecked = component
        .file()
        .settings
        .iter()
        .filter(|(setting, declaration)| !is_checked(setting) && !declaration.secret);
    let mut findings = Vec::new();

    for (setting, declaration) in unchecked {
        let name = component.variable(setting);
        let variable = variables.iter().find(|variable| variable.name == name);
        let Some((text, location)) =
            variable.and_then(|variable| Some((variable.value?, variable.location.clone())))
        else {
            continue;
        };

        let component_name = component.name();
        match declaration.parse(text) {
            None => {
                let expected = declaration.kind.description();
                findings.push(rules::m11_wrong_setting_type::wrong_kind(
                    location,
                    component_name,
                    setting,
                    expected,
                    "text",
                ));
            }
            Some(value) => {
                let invalid = declaration.check(&value);
                findings.extend(invalid.map(|invalid| {
                    rules::m28_invalid_setting_value::invalid_value(
                        location,
                        component_name,
                        setting,
                        invalid,
                    )
                }));
            }
        }
    }

    findings
}

/// Reports listen addresses that must be on loopback and are not, or are not known.
fn check_addresses(
    wiring: &Wiring,
    index: usize,
    variables: &[Variable<'_>],
    located: &LocatedDefinition,
) -> Vec<Finding> {
    let member = &wiring.assembly.members[index];
    let mut findings = Vec::new();
    for (setting, _) in addresses(member) {
        if may_be_public(wiring.public.as_ref(), index, member, &setting) {
            continue;
        }

        let name = member.component.variable(&setting);
        let mut set = variables
            .iter()
            .filter(|variable| variable.name == name)
            .peekable();
        // The wiring sets the variable, so an override has removed it; a settings document could now set any address.
        if set.peek().is_none() && member.run_mode == RunMode::Service {
            let list = format!("/containerDefinitions/{index}/environment");
            let location = located.locations.get(&list);
            findings.push(rules::m22_exposed_inner_hop::missing_address(
                location,
                member.name(),
                &name,
            ));
        }
        findings.extend(set.filter_map(|variable| check_address(member, &setting, variable)));
    }

    findings
}

fn check_address(
    member: &AssemblyMember,
    setting: &str,
    variable: &Variable<'_>,
) -> Option<Finding> {
    let (name, location) = (member.name(), variable.location.clone());
    let Some(text) = variable.value else {
        return Some(rules::m22_exposed_inner_hop::secret_address(
            location,
            name,
            variable.name,
        ));
    };
    // Host names are not resolved: `localhost` is rejected as well, as in the components.
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => None,
        Ok(address) => Some(wire::exposed_address(member, setting, location, address)),
        Err(_) => Some(rules::m21_port_conflict::invalid_address(location, text)),
    }
}
