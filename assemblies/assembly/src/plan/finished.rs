//! The finished definition held against what the components say about themselves.
//!
//! `overrides:` and `patch:` win over what was derived and checked, so what they bring in is judged once
//! more, here, whoever wrote it.
//!
//! Single variables win over documents of settings, and `environment` wins over `environmentFiles`: where
//! the address of a container that serves stands in its environment, nothing else can move it.

use task_definition::{Finding, Located, Place};

use crate::resolve::{AssemblyMember, RunMode};
use crate::text::meant;
use crate::wire::{self, Wiring, addresses, may_be_reached};
use crate::{component::Component, rules};

/// Every variable that is meant for a component, and every address a component listens on.
pub(super) fn judge(wiring: &Wiring, located: &Located) -> Vec<Finding> {
    let members = wiring.assembly.members.iter().enumerate();
    members
        .flat_map(|(index, member)| {
            let variables = variables(located, index);
            let mut findings = unknown_variables(&member.component, &variables);
            findings.extend(misfits(member, &variables));
            findings.extend(exposed(wiring, index, &variables, located));
            findings
        })
        .collect()
}

/// A variable of a container.
struct Variable<'l> {
    name: &'l str,
    /// None for a secret.
    value: Option<&'l str>,
    /// Where it is named, and where its value is.
    named: Place,
    place: Place,
}

/// The containers stand in the order of the members, since lists are merged by name and only grow.
fn variables(located: &Located, index: usize) -> Vec<Variable<'_>> {
    let Some(container) = located.definition.container_definitions.get(index) else {
        return Vec::new();
    };
    let place = |list: &str, at: usize, field: &str| {
        let pointer = format!("/containerDefinitions/{index}/{list}/{at}/{field}");
        located.places.of(&pointer)
    };
    let plain = container.environment.iter().enumerate();
    let plain = plain.map(|(at, one)| Variable {
        name: &one.name,
        value: Some(&one.value),
        named: place("environment", at, "name"),
        place: place("environment", at, "value"),
    });

    let secret = container.secrets.iter().enumerate();
    let secret = secret.map(|(at, one)| Variable {
        name: &one.name,
        value: None,
        named: place("secrets", at, "name"),
        place: place("secrets", at, "valueFrom"),
    });

    plain.chain(secret).collect()
}

/// Variables with the component's prefix that are none of its settings.
fn unknown_variables(component: &Component, variables: &[Variable<'_>]) -> Vec<Finding> {
    let file = component.file();
    let admin = file.admin.iter().map(|admin| &admin.setting);
    let settings = file.settings.keys().chain(admin);
    let known: Vec<String> = settings.map(|one| component.variable(one)).collect();
    let prefix = component.prefix();
    let mut findings = Vec::new();

    for Variable { name, named, .. } in variables {
        let Some(rest) = name.strip_prefix(&prefix) else {
            continue;
        };
        let (place, of) = (named.clone(), component.name());

        if known.iter().any(|one| one == name) {
            continue;
        }
        findings.push(if matches!(rest, "SETTINGS" | "SETTINGS_FILE") {
            rules::m23_opaque_settings::settings_document(place, of, name)
        } else {
            let hint = meant(name, known.iter().map(String::as_str));
            rules::m10_unknown_setting::unknown_variable(place, of, name, &hint)
        });
    }

    findings
}

/// Variables with a value that the component does not take. What stands under `settings:` has been judged
/// there, and addresses to listen on are judged below.
fn misfits(member: &AssemblyMember, variables: &[Variable<'_>]) -> Vec<Finding> {
    let component = &member.component;
    let listens = addresses(member);
    let judged = |setting: &String| {
        member.settings.contains_key(setting) || listens.iter().any(|(one, _)| one == setting)
    };
    let declared = component.file().settings.iter();
    let declared = declared.filter(|(setting, one)| !judged(setting) && !one.secret);
    let mut findings = Vec::new();

    for (setting, one) in declared {
        let name = component.variable(setting);
        let variable = variables.iter().find(|variable| variable.name == name);
        let Some((text, place)) = variable.and_then(|one| Some((one.value?, one.place.clone())))
        else {
            continue;
        };

        let of = component.name();
        match one.value_of(text) {
            None => {
                let wanted = one.kind.description();
                findings.push(rules::m11_wrong_setting_type::wrong_kind(
                    place, of, setting, wanted, "text",
                ));
            }
            Some(value) => {
                let fault = one.check(&value);
                findings.extend(fault.map(|fault| {
                    rules::m28_invalid_setting_value::invalid_value(place, of, setting, fault)
                }));
            }
        }
    }

    findings
}

/// Addresses that are not on loopback, though they must be.
fn exposed(
    wiring: &Wiring,
    index: usize,
    variables: &[Variable<'_>],
    located: &Located,
) -> Vec<Finding> {
    let member = &wiring.assembly.members[index];
    let mut findings = Vec::new();
    for (setting, _) in addresses(member) {
        if may_be_reached(wiring.public.as_ref(), index, member, &setting) {
            continue;
        }

        let name = member.component.variable(&setting);
        let mut said = variables.iter().filter(|one| one.name == name).peekable();
        if said.peek().is_none() && member.run_mode == RunMode::Service {
            let list = format!("/containerDefinitions/{index}/environment");
            let place = located.places.of(&list);
            findings.push(rules::m22_exposed_inner_hop::missing_address(
                place,
                member.name(),
                &name,
            ));
        }
        findings.extend(said.filter_map(|one| outside(member, &setting, one)));
    }

    findings
}

fn outside(member: &AssemblyMember, setting: &str, variable: &Variable<'_>) -> Option<Finding> {
    let (name, place) = (member.name(), variable.place.clone());
    let Some(text) = variable.value else {
        return Some(rules::m22_exposed_inner_hop::secret_address(
            place,
            name,
            variable.name,
        ));
    };
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => None,
        Ok(address) => Some(wire::exposed(member, setting, place, address)),
        Err(_) => Some(rules::m21_port_conflict::invalid_address(place, text)),
    }
}
