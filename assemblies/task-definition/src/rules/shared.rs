//! What several rules use: walks over a definition, and words for what they find.

use serde_json::json;

use crate::container::{Condition, ContainerDefinition, LogConfiguration, PortMapping};
use crate::fargate_sizes::{parse_cpu, parse_memory, smallest};
use crate::finding::Edit;
use crate::placeholder::find_placeholder;
use crate::read::LocatedDefinition;
use crate::spelling::nearest;
use crate::task::TaskDefinition;

/// Every container and its pointer.
pub(super) fn containers(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition)> {
    let all = located.definition.container_definitions.iter().enumerate();
    all.map(|(index, one)| (format!("/containerDefinitions/{index}"), one))
}

/// The container of that name and its pointer.
pub(super) fn container<'l>(
    located: &'l LocatedDefinition,
    name: &str,
) -> Option<(String, &'l ContainerDefinition)> {
    containers(located).find(|(_, one)| one.name == name)
}

/// One entry of a dependsOn.
pub(super) struct Edge<'l> {
    /// Its pointer.
    pub(super) pointer: String,
    /// Who waits.
    pub(super) from: &'l ContainerDefinition,
    /// Who is waited for.
    pub(super) target: &'l str,
    /// For what.
    pub(super) condition: Condition,
}

/// Every entry of every dependsOn.
pub(super) fn edges(located: &LocatedDefinition) -> impl Iterator<Item = Edge<'_>> {
    containers(located).flat_map(|(pointer, from)| {
        from.depends_on
            .iter()
            .enumerate()
            .map(move |(index, one)| Edge {
                pointer: format!("{pointer}/dependsOn/{index}"),
                from,
                target: &one.container_name,
                condition: one.condition,
            })
    })
}

/// Whether the condition waits for an end.
pub(super) fn waits_for_exit(condition: Condition) -> bool {
    matches!(condition, Condition::Complete | Condition::Success)
}

/// The edit that makes a container wait until another one has been started.
pub(super) fn add_dependency(pointer: &str, one: &ContainerDefinition, on: &str) -> Edit {
    let edge = json!({ "containerName": on, "condition": "START" });
    if one.depends_on.is_empty() {
        return Edit::Set(format!("{pointer}/dependsOn"), json!([edge]));
    }
    Edit::Set(
        format!("{pointer}/dependsOn/{}", one.depends_on.len()),
        edge,
    )
}

/// Every port mapping, its container and its pointer.
pub(super) fn ports(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition, &PortMapping)> {
    containers(located).flat_map(|(pointer, one)| {
        one.port_mappings
            .iter()
            .enumerate()
            .map(move |(index, port)| (format!("{pointer}/portMappings/{index}"), one, port))
    })
}

/// The first and the last port of a mapping.
pub(super) fn range(port: &PortMapping) -> Option<(u32, u32)> {
    if let Some(single) = port.container_port {
        return Some((single, single));
    }
    let (first, last) = port.container_port_range.as_deref()?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Every log configuration, its container and its pointer.
pub(super) fn logs(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition, &LogConfiguration)> {
    containers(located).filter_map(|(pointer, one)| {
        let log = one.log_configuration.as_ref()?;
        Some((format!("{pointer}/logConfiguration"), one, log))
    })
}

/// Whether it is said where the task runs, and not left to be filled in.
pub(super) fn is_platform_known(located: &LocatedDefinition) -> bool {
    let mut locations = located.definition.requires_compatibilities.iter();
    !locations.any(|location| find_placeholder(location).is_some())
}

/// Whether the name of a container is left to be filled in: it may be any.
pub(super) fn has_placeholder_names(located: &LocatedDefinition) -> bool {
    containers(located).any(|(_, one)| find_placeholder(&one.name).is_some())
}

/// Whether this is no whole definition, but what an article shows of one: nothing in it has a name.
pub(super) fn is_fragment(located: &LocatedDefinition) -> bool {
    let nameless = |one: &ContainerDefinition| one.name.is_empty() && one.image.is_empty();
    let definition = &located.definition;
    let containers = &definition.container_definitions;
    definition.family.is_empty() && !containers.is_empty() && containers.iter().all(nameless)
}

/// Whether all containers share one network interface.
pub(super) fn shares_network(located: &LocatedDefinition) -> bool {
    let mode = located.definition.network_mode.as_deref();
    located.definition.is_fargate() || matches!(mode, Some("awsvpc" | "host"))
}

/// Whether the text is 1 to 255 letters, digits, hyphens and underscores.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}

/// The text as a name: what is not allowed becomes a hyphen.
pub(super) fn sanitize_name(text: &str) -> String {
    let replaced = text
        .chars()
        .map(|c| if is_name(&c.to_string()) { c } else { '-' });
    let name: String = replaced.take(255).collect();
    if name.is_empty() {
        "app".to_owned()
    } else {
        name
    }
}

/// `app 192 + proxy 128 = 320`.
pub(super) fn format_sum(parts: &[(&str, u32)], sum: u32) -> String {
    let terms: Vec<_> = parts
        .iter()
        .map(|(name, amount)| format!("{name} {amount}"))
        .collect();
    match terms.len() {
        1 => terms.concat(),
        _ => format!("{} = {sum}", terms.join(" + ")),
    }
}

/// What to do about a task that is too small: on Fargate, the size that would do.
pub(super) fn suggest_larger_size(
    definition: &TaskDefinition,
    cpu: u32,
    memory: u32,
    otherwise: &str,
) -> String {
    let has = |text: &Option<String>, parse: fn(&str) -> Option<u32>| {
        text.as_deref().and_then(parse).unwrap_or(0)
    };
    let cpu = cpu.max(has(&definition.cpu, parse_cpu));
    let memory = memory.max(has(&definition.memory, parse_memory));

    match smallest(cpu, memory).filter(|_| definition.is_fargate()) {
        Some(size) => format!(
            "enlarge the task to {} / {}, or {otherwise}",
            size.cpu, size.memory
        ),
        None => format!("enlarge the task, or {otherwise}"),
    }
}

/// Which container was probably meant by a name that none has.
pub(super) fn suggest_container(definition: &TaskDefinition, name: &str) -> String {
    let containers = definition.container_definitions.iter();
    let names: Vec<&str> = containers.map(|one| one.name.as_str()).collect();
    match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("name one of its containers: {}", names.join(", ")),
    }
}

/// Whether the text is 1 to 64 small letters, digits, _ and -, with no - in front.
pub(super) fn is_port_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && !text.starts_with('-') && text.chars().all(allowed)
}
