//! What is known about well-known images by their names.

use crate::container::ContainerDefinition;

/// The last step of an image's repository, without tag and digest: `fluent-bit`.
pub(super) fn name(image: &str) -> &str {
    let reference = image.split('@').next().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// The tag of an image, if it has one.
pub(super) fn tag(image: &str) -> Option<&str> {
    let reference = image.split('@').next().unwrap_or_default();
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split_once(':').map(|(_, tag)| tag)
}

/// Whether the image is known to collect metrics, traces or logs, and is not the log router.
pub(super) fn is_telemetry_agent(one: &ContainerDefinition) -> bool {
    let reference = one.image.split('@').next().unwrap_or_default();
    let maker = reference.rsplit('/').nth(1);
    let name = name(&one.image);
    // Datadog's image is called just `agent`.
    let datadog = name == "agent" && matches!(maker, Some("datadog" | "datadoghq"));
    one.firelens_configuration.is_none() && (datadog || WATCHERS.contains(&name))
}

/// Whether the image is one of this toolkit's own: one static program, and the folders it writes to.
pub(super) fn is_ours(image: &str) -> bool {
    OURS.contains(&name(image))
}

/// Whether the image is known to hold no shell and no `curl`.
pub(super) fn has_no_shell(image: &str) -> bool {
    let debugged = tag(image).is_some_and(|tag| tag.contains("debug") || tag.ends_with("-dev"));
    let bare = BARE.contains(&name(image)) || is_ours(image);
    !debugged && (bare || image.contains("distroless") || image.contains("chainguard/static"))
}

/// Whether the image is a server: left to itself it does not end.
pub(super) fn is_long_running(one: &ContainerDefinition) -> bool {
    let itself = one.command.is_empty() && one.entry_point.is_empty();
    itself && (is_telemetry_agent(one) || SERVERS.contains(&name(&one.image)))
}

/// Whether the image is known to write into its own files when it starts.
pub(super) fn writes(image: &str) -> bool {
    WRITERS.contains(&name(image))
}

const OURS: [&str; 5] = [
    "auth-filter",
    "coins",
    "telemetry-forwarder",
    "thumbnail",
    "tls-proxy",
];

/// Made `FROM scratch` by their makers.
const BARE: [&str; 3] = [
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

const WATCHERS: [&str; 12] = [
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

/// They keep a pid file, a socket, a cache or their data beside their program.
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
