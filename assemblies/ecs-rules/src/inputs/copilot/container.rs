//! Converts the main container, the sidecars and the log router of a manifest.

use diagnostics::source::{Key, Node, NodeValue, Span};

use super::{Workload, fields, name, service, storage};
use crate::inputs::derived::Notes;
use crate::inputs::derived::fields::{
    command, duration, flag, integer, scalar_text, text_list, text_map,
};
use crate::inputs::derived::record::{Record, number, some_list, text, texts, unknown};

/// Returns all containers of the task.
pub(super) fn all(manifest: &Node, workload: Workload, notes: &mut Notes<'_>) -> Vec<Node> {
    let routed = service::targets(manifest, workload, notes);
    let mut containers = vec![main(manifest, &routed, notes)];
    for (key, settings) in manifest.get("sidecars").map_or(&[][..], Node::entries) {
        if settings.value != NodeValue::Null {
            containers.push(sidecar(manifest, key, settings, &routed, notes));
        }
    }
    containers.extend(log_router(manifest, notes));
    containers
}

fn main(manifest: &Node, routed: &[service::Target], notes: &mut Notes<'_>) -> Node {
    let name = name(manifest, notes);
    let span = name.span;
    let image = manifest.get("image");
    let mut record = Record::new(span);
    record.add("name", name.clone());
    let own_image = image.and_then(|image| image_of(image, span, notes));
    // The environments may have the image instead; each of them is read as well.
    let is_elsewhere = image.is_none() && manifest.get("environments").is_some();
    record.add_some(
        "image",
        own_image.or_else(|| is_elsewhere.then(|| unknown("image", span))),
    );

    // Credentials, labels and the health check of the main container are in `image`.
    if let Some(image) = image {
        add_credentials(image.get("credentials"), &mut record, notes);
        add_common(image, &mut record, notes);
    }
    add_words(manifest, &mut record, notes);
    add_variables(manifest, &mut record, notes);
    record.add_some(
        "portMappings",
        ports(
            &name,
            image.and_then(|image| image.get("port")),
            routed,
            notes,
        ),
    );

    let read_only = manifest
        .at("/storage/readonly_fs")
        .and_then(|node| flag(node, notes));
    record.add_some("readonlyRootFilesystem", read_only);
    record.add_some("mountPoints", storage::mount_points(manifest, notes));
    record.add("logConfiguration", log_configuration(manifest, span, notes));
    if manifest
        .get("exec")
        .and_then(|node| notes.known_text(node))
        .as_deref()
        == Some("true")
    {
        let linux = Record::new(span).with(
            "initProcessEnabled",
            crate::inputs::derived::record::boolean(true, span),
        );
        record.add("linuxParameters", linux.into_node());
    }
    record.into_node()
}

fn sidecar(
    manifest: &Node,
    key: &Key,
    settings: &Node,
    routed: &[service::Target],
    notes: &mut Notes<'_>,
) -> Node {
    fields::report_sidecar(key, settings, notes);
    let name = text(&key.name, key.span);
    let mut record = Record::new(key.span);
    record.add("name", name.clone());
    let image = settings.get("image");
    record.add_some(
        "image",
        image.and_then(|image| image_of(image, key.span, notes)),
    );
    record.add_some(
        "essential",
        settings.get("essential").and_then(|node| flag(node, notes)),
    );

    add_credentials(settings.get("credentialsParameter"), &mut record, notes);
    add_common(settings, &mut record, notes);
    add_words(settings, &mut record, notes);
    add_variables(settings, &mut record, notes);
    record.add_some(
        "portMappings",
        ports(&name, settings.get("port"), routed, notes),
    );
    record.add_some(
        "mountPoints",
        storage::sidecar_mount_points(settings, notes),
    );
    record.add(
        "logConfiguration",
        log_configuration(manifest, key.span, notes),
    );
    record.into_node()
}

/// Returns the image of `location` or of a text. Copilot names an image that it builds.
fn image_of(image: &Node, span: Span, notes: &Notes<'_>) -> Option<Node> {
    match (&image.value, image.get("location"), image.get("build")) {
        (NodeValue::Map(_), Some(location), _) => scalar_text(location, notes),
        (NodeValue::Map(_), None, Some(build)) => Some(unknown("image", build.span)),
        (NodeValue::Map(_), None, None) => None,
        (NodeValue::Null, ..) => Some(unknown("image", span)),
        _ => scalar_text(image, notes),
    }
}

fn add_credentials(node: Option<&Node>, record: &mut Record, notes: &Notes<'_>) {
    if let Some(secret) = node.and_then(|node| scalar_text(node, notes)) {
        let credentials = Record::new(secret.span).with("credentialsParameter", secret);
        record.add("repositoryCredentials", credentials.into_node());
    }
}

/// Adds labels, dependencies and the health check.
fn add_common(settings: &Node, record: &mut Record, notes: &mut Notes<'_>) {
    record.add_some(
        "dockerLabels",
        settings
            .get("labels")
            .and_then(|node| text_map(node, notes)),
    );
    if let Some(depends_on) = settings.get("depends_on") {
        let edges = depends_on.entries().iter().map(|(key, condition)| {
            let word = notes
                .known_text(condition)
                .unwrap_or_default()
                .to_uppercase();
            Record::new(key.span)
                .with("containerName", text(&key.name, key.span))
                .with("condition", text(word, condition.span))
                .into_node()
        });
        record.add_some("dependsOn", some_list(edges.collect(), depends_on.span));
    }
    if let Some(check) = settings
        .get("healthcheck")
        .filter(|check| check.value != NodeValue::Null)
    {
        record.add("healthCheck", health_check(check, notes));
    }
}

/// Converts a health check, with Copilot's defaults.
fn health_check(check: &Node, notes: &mut Notes<'_>) -> Node {
    let mut record = Record::new(check.span);
    let words = check.get("command").and_then(|node| text_list(node, notes));
    let default = texts(
        ["CMD-SHELL", "curl -f http://localhost/ || exit 1"],
        check.span,
    );
    record.add("command", words.unwrap_or(default));

    for (field, name, default) in [
        ("interval", "interval", 10),
        ("timeout", "timeout", 5),
        ("start_period", "startPeriod", 0),
    ] {
        let value = match check.get(field) {
            Some(node) => duration(node, notes),
            None => Some(number(default, check.span)),
        };
        record.add_some(name, value);
    }
    let retries = check.get("retries").map(|node| integer(node, notes));
    record.add("retries", retries.unwrap_or_else(|| number(2, check.span)));
    record.into_node()
}

fn add_words(settings: &Node, record: &mut Record, notes: &Notes<'_>) {
    for (field, name) in [("entrypoint", "entryPoint"), ("command", "command")] {
        record.add_some(
            name,
            settings.get(field).and_then(|node| command(node, notes)),
        );
    }
}

fn add_variables(settings: &Node, record: &mut Record, notes: &mut Notes<'_>) {
    let variables = convert_entries(settings.get("variables"), |key, value| {
        // `from_cfn` imports the value of a stack.
        let value = scalar_text(value, notes).unwrap_or_else(|| unknown(&key.name, value.span));
        Record::new(key.span)
            .with("name", text(&key.name, key.span))
            .with("value", value)
            .into_node()
    });
    record.add_some("environment", variables);
    record.add_some("secrets", secrets(settings.get("secrets"), notes));
    if let Some(file) = settings.get("env_file") {
        notes.add(
            file.span,
            "`env_file` is not evaluated: its variables are not in this file",
        );
    }
}

/// Converts secrets: a parameter of SSM, or a secret of Secrets Manager by its name.
fn secrets(node: Option<&Node>, notes: &Notes<'_>) -> Option<Node> {
    convert_entries(node, |key, value| {
        // ECS wants the ARN of a secret that is named by `secretsmanager`; its suffix is not in the file.
        let source = match value.get("secretsmanager") {
            Some(name) => unknown(&key.name, name.span),
            None => scalar_text(value, notes).unwrap_or_else(|| unknown(&key.name, value.span)),
        };
        Record::new(key.span)
            .with("name", text(&key.name, key.span))
            .with("valueFrom", source)
            .into_node()
    })
}

fn convert_entries(node: Option<&Node>, convert: impl Fn(&Key, &Node) -> Node) -> Option<Node> {
    let node = node?;
    let items = node
        .entries()
        .iter()
        .map(|(key, value)| convert(key, value));
    some_list(items.collect(), node.span)
}

/// Returns the port mappings of a container: its own port, and those that a load balancer sends requests to.
fn ports(
    name: &Node,
    port: Option<&Node>,
    routed: &[service::Target],
    notes: &Notes<'_>,
) -> Option<Node> {
    let mut mappings: Vec<(Option<String>, Node)> = Vec::new();
    if let Some(port) = port {
        let written = notes.read_scalar(port).unwrap_or_default();
        let (target, protocol) = match written.split_once('/') {
            Some((target, protocol)) => (target.to_owned(), Some(protocol.to_owned())),
            None => (written, None),
        };
        let mut record = Record::new(port.span);
        record.add("containerPort", integer(&text(&target, port.span), notes));
        record.add_some("protocol", protocol.map(|word| text(word, port.span)));
        mappings.push((Some(target), record.into_node()));
    }

    // Copilot opens the ports of its rules, also those that no container lists.
    for target in routed
        .iter()
        .filter(|target| Some(target.container.as_str()) == name.text())
    {
        let known = notes.known_text(&target.port);
        if mappings.iter().all(|(other, _)| *other != known) {
            let record =
                Record::new(target.port.span).with("containerPort", integer(&target.port, notes));
            mappings.push((known, record.into_node()));
        }
    }

    let mappings: Vec<Node> = mappings.into_iter().map(|(_, mapping)| mapping).collect();
    some_list(mappings, port.map_or(name.span, |port| port.span))
}

/// Returns where a container's output goes: to the log router of `logging`, or to CloudWatch.
fn log_configuration(manifest: &Node, span: Span, notes: &Notes<'_>) -> Node {
    let Some(logging) = manifest
        .get("logging")
        .filter(|logging| has_router(logging))
    else {
        let options = Record::new(span)
            .with("awslogs-group", unknown("LogGroup", span))
            .with("awslogs-region", unknown("AWS::Region", span))
            .with("awslogs-stream-prefix", text("copilot", span));
        return Record::new(span)
            .with("logDriver", text("awslogs", span))
            .with("options", options.into_node())
            .into_node();
    };

    let mut record = Record::new(logging.span).with("logDriver", text("awsfirelens", logging.span));
    // Without a destination, a configuration file has the output.
    let destination = logging
        .get("destination")
        .and_then(|node| text_map(node, notes));
    record.add(
        "options",
        destination.unwrap_or_else(|| unknown("destination", logging.span)),
    );
    record.add_some(
        "secretOptions",
        secrets(logging.get("secretOptions"), notes),
    );
    record.into_node()
}

/// Returns whether `logging` has more than the retention of the log group.
fn has_router(logging: &Node) -> bool {
    logging
        .entries()
        .iter()
        .any(|(key, _)| key.name != "retention")
}

fn log_router(manifest: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let logging = manifest
        .get("logging")
        .filter(|logging| has_router(logging))?;
    let span = logging.span;
    let image = logging
        .get("image")
        .and_then(|image| scalar_text(image, notes));
    let default = "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable";

    let mut record = Record::new(span);
    record.add("name", text("firelens_log_router", span));
    record.add("image", image.unwrap_or_else(|| unknown(default, span)));
    let firelens = Record::new(span).with("type", text("fluentbit", span));
    record.add("firelensConfiguration", firelens.into_node());
    add_variables(logging, &mut record, notes);
    Some(record.into_node())
}
