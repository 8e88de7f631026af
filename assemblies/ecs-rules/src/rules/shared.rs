//! Helpers of several rules: iterators over a definition, and texts for findings.

use diagnostics::{Edit, nearest};
use serde_json::json;
use task_definition::fargate_sizes::{parse_cpu, parse_memory, smallest};
use task_definition::{
    Condition, ContainerDefinition, LocatedDefinition, LogConfiguration, PortMapping,
    TaskDefinition, find_placeholder,
};

/// Returns every container with its pointer.
pub(super) fn containers(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition)> {
    let all = located.definition.container_definitions.iter().enumerate();
    all.map(|(index, container)| (format!("/containerDefinitions/{index}"), container))
}

/// Returns the container with this name and its pointer.
pub(super) fn container<'l>(
    located: &'l LocatedDefinition,
    name: &str,
) -> Option<(String, &'l ContainerDefinition)> {
    containers(located).find(|(_, container)| container.name == name)
}

/// Returns the platform of a task as images name it: `linux/amd64`, the default, or `linux/arm64`.
pub fn platform_of(definition: &TaskDefinition) -> String {
    let platform = definition.runtime_platform.as_ref();
    let architecture = platform.and_then(|platform| platform.cpu_architecture.as_deref());
    let system = if definition.is_windows() {
        "windows"
    } else {
        "linux"
    };
    let architecture = match architecture {
        Some("ARM64") => "arm64",
        _ => "amd64",
    };
    format!("{system}/{architecture}")
}

/// An entry of dependsOn.
pub(super) struct Edge<'l> {
    /// The pointer of the entry.
    pub(super) pointer: String,
    /// The dependent container.
    pub(super) from: &'l ContainerDefinition,
    /// The name of the awaited container.
    pub(super) target: &'l str,
    /// The awaited condition.
    pub(super) condition: Condition,
}

/// Returns every entry of every dependsOn.
pub(super) fn edges(located: &LocatedDefinition) -> impl Iterator<Item = Edge<'_>> {
    containers(located).flat_map(|(pointer, from)| {
        from.depends_on
            .iter()
            .enumerate()
            .map(move |(index, container)| Edge {
                pointer: format!("{pointer}/dependsOn/{index}"),
                from,
                target: &container.container_name,
                condition: container.condition,
            })
    })
}

/// Returns whether the condition waits until the container exits.
pub(super) fn waits_for_exit(condition: Condition) -> bool {
    matches!(condition, Condition::Complete | Condition::Success)
}

/// Returns the edit that makes a container depend on the start of another one.
pub(super) fn add_dependency(pointer: &str, container: &ContainerDefinition, on: &str) -> Edit {
    let edge = json!({ "containerName": on, "condition": "START" });
    if container.depends_on.is_empty() {
        return Edit::Set(format!("{pointer}/dependsOn"), json!([edge]));
    }
    Edit::Set(
        format!("{pointer}/dependsOn/{}", container.depends_on.len()),
        edge,
    )
}

/// Returns every port mapping with its pointer and container.
pub(super) fn ports(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition, &PortMapping)> {
    containers(located).flat_map(|(pointer, container)| {
        container
            .port_mappings
            .iter()
            .enumerate()
            .map(move |(index, port)| (format!("{pointer}/portMappings/{index}"), container, port))
    })
}

/// Returns the first and the last port of a mapping.
pub(super) fn range(port: &PortMapping) -> Option<(u32, u32)> {
    if let Some(single) = port.container_port {
        return Some((single, single));
    }
    let (first, last) = port.container_port_range.as_deref()?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// Returns every log configuration with its pointer and container.
pub(super) fn logs(
    located: &LocatedDefinition,
) -> impl Iterator<Item = (String, &ContainerDefinition, &LogConfiguration)> {
    containers(located).filter_map(|(pointer, container)| {
        let log = container.log_configuration.as_ref()?;
        Some((format!("{pointer}/logConfiguration"), container, log))
    })
}

/// Returns whether requiresCompatibilities contains no placeholder.
pub(super) fn is_platform_known(located: &LocatedDefinition) -> bool {
    let mut platforms = located.definition.requires_compatibilities.iter();
    !platforms.any(|platform| find_placeholder(platform).is_some())
}

/// Returns whether the name of a container is a placeholder, which may become any name.
pub(super) fn has_placeholder_names(located: &LocatedDefinition) -> bool {
    containers(located).any(|(_, container)| find_placeholder(&container.name).is_some())
}

/// Returns whether this is a fragment of a definition, as in documentation: without family, names and images.
pub(super) fn is_fragment(located: &LocatedDefinition) -> bool {
    let nameless =
        |container: &ContainerDefinition| container.name.is_empty() && container.image.is_empty();
    let definition = &located.definition;
    let containers = &definition.container_definitions;
    definition.family.is_empty() && !containers.is_empty() && containers.iter().all(nameless)
}

/// Returns whether all containers share one network interface.
pub(super) fn shares_network(located: &LocatedDefinition) -> bool {
    let mode = located.definition.network_mode.as_deref();
    located.definition.is_fargate() || matches!(mode, Some("awsvpc" | "host"))
}

/// Returns whether the text is 1 to 255 letters, digits, hyphens and underscores.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=255).contains(&text.len()) && text.chars().all(allowed)
}

/// Returns a valid name: characters that are not allowed become hyphens.
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

/// Formats a sum: `app 192 + proxy 128 = 320`.
pub(super) fn format_sum(parts: &[(&str, u32)], sum: u32) -> String {
    let terms: Vec<_> = parts
        .iter()
        .map(|(name, amount)| format!("{name} {amount}"))
        .collect();
    match terms.len() {
        // A single term is its own sum.
        1 => terms.concat(),
        _ => format!("{} = {sum}", terms.join(" + ")),
    }
}

/// Returns the hint for a task that is too small, with the sufficient size on Fargate.
pub(super) fn suggest_larger_size(
    definition: &TaskDefinition,
    cpu: u32,
    memory: u32,
    otherwise: &str,
) -> String {
    let current = |text: &Option<String>, parse: fn(&str) -> Option<u32>| {
        text.as_deref().and_then(parse).unwrap_or(0)
    };
    // A suggestion must not reduce the other value.
    let cpu = cpu.max(current(&definition.cpu, parse_cpu));
    let memory = memory.max(current(&definition.memory, parse_memory));

    match smallest(cpu, memory).filter(|_| definition.is_fargate()) {
        Some(size) => format!(
            "enlarge the task to {} / {}, or {otherwise}",
            size.cpu, size.memory
        ),
        None => format!("enlarge the task, or {otherwise}"),
    }
}

/// Returns the hint for an unknown container name.
pub(super) fn suggest_container(definition: &TaskDefinition, name: &str) -> String {
    let containers = definition.container_definitions.iter();
    let names: Vec<&str> = containers
        .map(|container| container.name.as_str())
        .collect();
    match nearest(name, names.iter().copied()) {
        Some(suggestion) => format!("did you mean `{suggestion}`?"),
        None => format!("name one of its containers: {}", names.join(", ")),
    }
}

/// Returns whether the text is 1 to 64 lower-case letters, digits, _ and -, not beginning with -.
pub(super) fn is_port_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && !text.starts_with('-') && text.chars().all(allowed)
}
