//! Facts about well-known images, by name.

use task_definition::ContainerDefinition;

/// Returns the last step of an image's repository, without tag and digest: `fluent-bit`.
pub(super) fn name(image: &str) -> &str {
    let reference = image.split('@').next().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// Returns the tag of an image.
pub(super) fn tag(image: &str) -> Option<&str> {
    let reference = image.split('@').next().unwrap_or_default();
    // Only the last step: a registry may contain a port.
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map(|(_, tag)| tag)
}

/// Returns whether the container is a known collector of metrics, traces or logs, and not the log router.
pub(super) fn is_telemetry_agent(container: &ContainerDefinition) -> bool {
    let reference = container.image.split('@').next().unwrap_or_default();
    let publisher = reference.rsplit('/').nth(1);
    let name = name(&container.image);
    // Datadog's image is named just `agent`.
    let is_datadog = name == "agent" && matches!(publisher, Some("datadog" | "datadoghq"));
    container.firelens_configuration.is_none() && (is_datadog || TELEMETRY_AGENTS.contains(&name))
}

/// Returns whether the image belongs to this toolkit: a static program and the folders it writes to.
pub(super) fn is_toolkit_image(image: &str) -> bool {
    TOOLKIT.contains(&name(image))
}

/// Returns whether the image is known to contain neither a shell nor `curl`.
pub(super) fn has_no_shell(image: &str) -> bool {
    // Debug variants of distroless and Chainguard images contain a shell.
    let is_debug = tag(image).is_some_and(|tag| tag.contains("debug") || tag.ends_with("-dev"));
    let is_from_scratch = FROM_SCRATCH.contains(&name(image)) || is_toolkit_image(image);
    !is_debug
        && (is_from_scratch || image.contains("distroless") || image.contains("chainguard/static"))
}

/// Returns whether the container runs a known server, which does not exit by itself.
pub(super) fn is_long_running(container: &ContainerDefinition) -> bool {
    // A command may run something else from the image, such as a migration.
    let runs_default = container.command.is_empty() && container.entry_point.is_empty();
    runs_default && (is_telemetry_agent(container) || SERVERS.contains(&name(&container.image)))
}

/// Returns whether the image is known to write to its root file system at startup.
pub(super) fn writes_at_startup(image: &str) -> bool {
    WRITERS.contains(&name(image))
}

const TOOLKIT: [&str; 5] = [
    "auth-filter",
    "coins",
    "telemetry-forwarder",
    "thumbnail",
    "tls-proxy",
];

/// Images that their publishers build `FROM scratch`.
const FROM_SCRATCH: [&str; 3] = [
    "aws-otel-collector",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
];

const SERVERS: [&str; 13] = [
    "envoy",
    "grafana",
    "haproxy",
    "httpd",
    "mariadb",
    "memcached",
    "mysql",
    "nginx",
    "postgres",
    "prometheus",
    "rabbitmq",
    "redis",
    "traefik",
];

const TELEMETRY_AGENTS: [&str; 12] = [
    "aws-for-fluent-bit",
    "aws-otel-collector",
    "aws-xray-daemon",
    "cloudwatch-agent",
    "datadog-agent",
    "fluent-bit",
    "fluentd",
    "opentelemetry-collector",
    "opentelemetry-collector-contrib",
    "splunk-otel-collector",
    "telemetry-forwarder",
    "xray-daemon",
];

/// Images that write a pid file, a socket, a cache or data to their root file system.
const WRITERS: [&str; 9] = [
    "grafana",
    "httpd",
    "mariadb",
    "mongo",
    "mysql",
    "nginx",
    "nginx-unprivileged",
    "postgres",
    "rabbitmq",
];
