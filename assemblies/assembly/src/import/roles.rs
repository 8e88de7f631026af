//! Determines the app of a task definition and the roles of the other containers.

use task_definition::{Condition, ContainerDefinition, ImageReference, TaskDefinition};

use crate::component::{Catalog, Component, Kind};

/// Returns the index of the app: the container with this name, or else the most likely one.
pub(crate) fn find_app(
    definition: &TaskDefinition,
    catalog: &Catalog,
    name: Option<&str>,
) -> Result<usize, String> {
    let containers = &definition.container_definitions;
    if let Some(name) = name {
        let found = containers
            .iter()
            .position(|container| container.name == name);
        return found.ok_or_else(|| {
            let names: Vec<&str> = containers.iter().map(|other| other.name.as_str()).collect();
            format!(
                "there is no container `{name}`; choose one of: {}",
                names.join(", ")
            )
        });
    }

    // Sorted by weight: an earlier criterion outweighs all later ones together.
    let score = |container: &ContainerDefinition| {
        let kind = find_component(container, catalog).map(|component| component.file().kind);
        let is_helper = is_known_helper(container)
            || container.firelens_configuration.is_some()
            || kind.is_some_and(|kind| kind != Kind::App);
        let has_usual_name =
            ["app", "web", "api", "main", "server"].contains(&container.name.as_str());
        let criteria = [
            !is_helper,
            !runs_first(definition, container),
            container.is_essential(),
            has_usual_name || container.name == definition.family,
            !container.port_mappings.is_empty(),
        ];
        criteria.map(u8::from)
    };

    // `max_by_key` returns the last maximum; reversed, that is the first container, where people write the app.
    let best = (0..containers.len())
        .rev()
        .max_by_key(|at| score(&containers[*at]));
    best.ok_or_else(|| "there is no container".to_owned())
}

/// Returns the role of a container that is not the app.
pub(super) fn kind(definition: &TaskDefinition, container: &ContainerDefinition) -> Kind {
    if runs_first(definition, container) {
        Kind::Init
    } else {
        Kind::Sidecar
    }
}

/// Returns whether other containers wait until it has ended.
fn runs_first(definition: &TaskDefinition, container: &ContainerDefinition) -> bool {
    let edges = definition
        .container_definitions
        .iter()
        .flat_map(|other| &other.depends_on);
    let mut edges = edges.filter(|edge| edge.container_name == container.name);
    !container.is_essential()
        && edges.any(|edge| matches!(edge.condition, Condition::Success | Condition::Complete))
}

/// Returns whether the image is a well-known sidecar, which is never the app.
fn is_known_helper(container: &ContainerDefinition) -> bool {
    let path = ImageReference::parse(&container.image).repository();
    let last = path.rsplit('/').next().unwrap_or_default();
    path.ends_with("datadog/agent") || path.ends_with("datadoghq/agent") || HELPERS.contains(&last)
}

/// Repository names of telemetry agents, log routers and service-mesh proxies.
const HELPERS: [&str; 14] = [
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
    "xray-daemon",
];

/// Returns the component of the catalog with the container's image, if it also fits the container's configuration.
pub(crate) fn find_component<'c>(
    container: &ContainerDefinition,
    catalog: &'c Catalog,
) -> Option<&'c Component> {
    let all = catalog
        .names()
        .filter_map(|name| catalog.component(name)?.ok());
    // Every member of a bundle has the same image; the words of the command tell them apart.
    if let Some((_, component)) = catalog.find_bundled(container) {
        return fits(component, container).then_some(component);
    }

    let image = ImageReference::parse(&container.image).repository();
    let mut same =
        all.filter(|component| same_image(component, image) && fits(component, container));
    same.next()
}

/// Compares the last path segment for images of this project, which may be in any registry, and the path for others.
fn same_image(component: &Component, image: &str) -> bool {
    let own = ImageReference::parse(&component.file().image).repository();
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    if component.file().container.is_none() {
        return last(own) == last(image);
    }

    // The registry host differs between mirrors, so compare without it.
    let tail = own.split_once('/').map_or(own, |(_, tail)| tail);
    // `amazon/aws-for-fluent-bit` on Docker Hub is the image of the public ECR registry; a name without `-` is too
    // common to conclude that.
    let is_distinctive = component.file().kind == Kind::Sidecar && last(tail).contains('-');
    image == own
        || image == tail
        || image.ends_with(&format!("/{tail}"))
        || (is_distinctive && last(tail) == last(image))
}

/// Returns whether a container can be this component: a proxy must have a variable for its upstream.
fn fits(component: &Component, container: &ContainerDefinition) -> bool {
    let file = component.file();
    file.kind != Kind::Proxy
        || file.requires.values().all(|required| {
            container
                .variable(&component.variable(&required.setting))
                .is_some()
        })
}
