//! Who is the app of a task definition, and what the others are for.

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

use crate::component::{Catalog, Component, Kind};

/// Which container is the app: the one that is named, or else the one that most looks like it.
pub(crate) fn find_app(
    definition: &TaskDefinition,
    catalog: &Catalog,
    named: Option<&str>,
) -> Result<usize, String> {
    let containers = &definition.container_definitions;
    if let Some(name) = named {
        let found = containers.iter().position(|one| one.name == name);
        return found.ok_or_else(|| {
            let names: Vec<&str> = containers.iter().map(|one| one.name.as_str()).collect();
            format!(
                "there is no container `{name}`; choose one of: {}",
                names.join(", ")
            )
        });
    }

    let likely = |one: &ContainerDefinition| {
        let kind = find_component(one, catalog).map(|component| component.file().kind);
        let beside = is_known_helper(one)
            || one.firelens_configuration.is_some()
            || kind.is_some_and(|kind| kind != Kind::App);
        let named = ["app", "web", "api", "main", "server"].contains(&one.name.as_str());
        let score = [
            !beside,
            !runs_first(definition, one),
            one.is_essential(),
            named || one.name == definition.family,
            !one.port_mappings.is_empty(),
        ];
        score.map(u8::from)
    };

    // Of equals the first: that is the one people write first.
    let best = (0..containers.len())
        .rev()
        .max_by_key(|at| likely(&containers[*at]));
    best.ok_or_else(|| "there is no container".to_owned())
}

/// What a container that is not the app is for.
pub(super) fn kind(definition: &TaskDefinition, container: &ContainerDefinition) -> Kind {
    if runs_first(definition, container) {
        Kind::Init
    } else {
        Kind::Sidecar
    }
}

/// Whether others wait for its end.
fn runs_first(definition: &TaskDefinition, container: &ContainerDefinition) -> bool {
    let edges = definition
        .container_definitions
        .iter()
        .flat_map(|one| &one.depends_on);
    let mut edges = edges.filter(|edge| edge.container_name == container.name);
    !container.is_essential()
        && edges.any(|edge| matches!(edge.condition, Condition::Success | Condition::Complete))
}

/// Images that are never what a task exists for.
fn is_known_helper(container: &ContainerDefinition) -> bool {
    let path = path_of(&container.image);
    let last = path.rsplit('/').next().unwrap_or_default();
    path.ends_with("datadog/agent") || path.ends_with("datadoghq/agent") || HELPERS.contains(&last)
}

const HELPERS: [&str; 15] = [
    "aws-appmesh-envoy",
    "aws-for-fluent-bit",
    "aws-otel-collector",
    "aws-xray-daemon",
    "cloudwatch-agent",
    "cws-instrumentation",
    "datadog-agent",
    "envoy",
    "fluent-bit",
    "fluentd",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "splunk-otel-collector",
    "telemetry-forwarder",
    "xray-daemon",
];

/// The component of the catalog whose image this is, if it stands for what the container does.
pub(crate) fn find_component<'c>(
    container: &ContainerDefinition,
    catalog: &'c Catalog,
) -> Option<&'c Component> {
    let all = catalog
        .names()
        .filter_map(|name| catalog.component(name)?.ok());
    let image = path_of(&container.image);
    let mut same = all.filter(|one| same_image(one, image) && fits(one, container));
    same.next()
}

/// Of our own images the last word counts, as they stand in anybody's registry; of others the path.
fn same_image(component: &Component, image: &str) -> bool {
    let own = path_of(&component.file().image);
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    if component.file().container.is_none() {
        return last(own) == last(image);
    }

    let tail = own.split_once('/').map_or(own, |(_, tail)| tail);
    // `amazon/aws-for-fluent-bit` is the same thing as the one in the public registry.
    let is_telling = component.file().kind == Kind::Sidecar && last(tail).contains('-');
    image == own
        || image == tail
        || image.ends_with(&format!("/{tail}"))
        || (is_telling && last(tail) == last(image))
}

/// A proxy of others is that proxy only when it is told where to hand on to.
fn fits(component: &Component, container: &ContainerDefinition) -> bool {
    let file = component.file();
    file.kind != Kind::Proxy
        || file.requires.values().all(|one| {
            container
                .variable(&component.variable(&one.setting))
                .is_some()
        })
}

/// `registry/team/coins:1.2@sha256:…` without tag and digest.
pub(super) fn path_of(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => image,
    }
}
