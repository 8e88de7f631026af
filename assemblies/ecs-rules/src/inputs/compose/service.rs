//! Converts a service of a Compose file to a container definition.

use diagnostics::source::{Key, Node, NodeValue, Span};
use task_definition::{ContainerDefinition, HasSchema, Schema};

use super::{Task, key_span, known, linux, ports, resources};
use crate::inputs::derived::Notes;
use crate::inputs::derived::fields::{
    command, duration, flag, integer, pair_records, pairs, scalar_text, text_list, text_map,
};
use crate::inputs::derived::record::{Record, boolean, list, some_list, text, unknown};

/// Adds the container of a service to the task.
pub(super) fn convert(key: &Key, service: &Node, task: &mut Task, notes: &mut Notes<'_>) {
    let mut container = Record::new(key.span);
    container.add("name", text(&key.name, key.span));
    // Compose builds the image; its name is decided when it is pushed.
    let is_elsewhere = ["build", "extends", "provider"]
        .iter()
        .any(|field| service.get(field).is_some());
    let image = service
        .get("image")
        .and_then(|image| scalar_text(image, notes));
    container.add_some(
        "image",
        image.or_else(|| is_elsewhere.then(|| unknown("image", key.span))),
    );

    // An essential container that ends stops the task (ECS API, ContainerDefinition, field essential).
    if task.ending.contains(&key.name) {
        container.add("essential", boolean(false, key.span));
    }
    add_simple_fields(service, &mut container, notes);
    container.add_some("portMappings", ports::convert(service, notes));
    container.add_some("dependsOn", dependencies(service, notes));
    container.add_some("healthCheck", health_check(service, notes));
    container.add_some("environment", environment(service, notes));
    container.add_some("logConfiguration", logging(service, notes));
    container.add_some("ulimits", linux::ulimits(service, notes));
    container.add_some("volumesFrom", volumes_from(service, notes));
    resources::add(service, &mut container, &mut task.size, notes);

    // Mounts are lists of the service, volumes of the task.
    let (points, tmpfs) = task.volumes.mounts(service, notes).into_lists(key.span);
    container.add_some("mountPoints", points);
    container.add_some(
        "linuxParameters",
        linux::parameters(service, tmpfs, key.span, notes),
    );
    add_task_settings(service, task, notes);
    report_restart(service, notes);
    known::report_service(&key.name, service, notes);
    if service.get("extends").is_some() {
        add_unknown_fields(&mut container, key.span);
    }
    task.containers.push(container.into_node());
}

/// Adds the fields that differ from those of ECS in their names only.
fn add_simple_fields(service: &Node, container: &mut Record, notes: &mut Notes<'_>) {
    for (field, name, form) in SIMPLE {
        let Some(node) = service
            .get(field)
            .filter(|node| node.value != NodeValue::Null)
        else {
            continue;
        };
        let value = match form {
            Form::Text => scalar_text(node, notes),
            Form::Flag => flag(node, notes),
            Form::Texts => text_list(node, notes),
            Form::Words => command(node, notes),
            Form::Seconds => duration(node, notes),
            Form::Map => text_map(node, notes),
            Form::Sysctls => pair_records(node, '=', ("namespace", "value"), notes),
        };
        container.add_some(name, value);
    }
    if let Some(hosts) = service.get("extra_hosts") {
        // `name=address` is the form for IPv6 addresses.
        let has_equals = hosts
            .items()
            .iter()
            .any(|item| item.text().is_some_and(|text| text.contains('=')));
        let separator = if has_equals { '=' } else { ':' };
        container.add_some(
            "extraHosts",
            pair_records(hosts, separator, ("hostname", "ipAddress"), notes),
        );
    }
}

/// The form of a field.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    Texts,
    Words,
    Seconds,
    Map,
    Sysctls,
}

/// The fields of Compose and of ECS, and their form.
const SIMPLE: [(&str, &str, Form); 15] = [
    ("entrypoint", "entryPoint", Form::Words),
    ("command", "command", Form::Words),
    ("user", "user", Form::Text),
    ("working_dir", "workingDirectory", Form::Text),
    ("hostname", "hostname", Form::Text),
    ("privileged", "privileged", Form::Flag),
    ("read_only", "readonlyRootFilesystem", Form::Flag),
    ("tty", "pseudoTerminal", Form::Flag),
    ("stdin_open", "interactive", Form::Flag),
    ("dns", "dnsServers", Form::Texts),
    ("dns_search", "dnsSearchDomains", Form::Texts),
    ("security_opt", "dockerSecurityOptions", Form::Texts),
    ("stop_grace_period", "stopTimeout", Form::Seconds),
    ("labels", "dockerLabels", Form::Map),
    ("sysctls", "systemControls", Form::Sysctls),
];

fn dependencies(service: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let depends_on = service.get("depends_on")?;
    let edge = |name: &str, condition: Node, span: Span| {
        Record::new(span)
            .with("containerName", text(name, span))
            .with("condition", condition)
            .into_node()
    };

    let mut edges = Vec::new();
    for item in depends_on.items() {
        if let Some(name) = notes.known_text(item) {
            edges.push(edge(&name, text("START", item.span), item.span));
        }
    }

    // The long form: https://github.com/compose-spec/compose-spec/blob/main/05-services.md#depends_on
    for (key, settings) in depends_on.entries() {
        let condition = settings.get("condition");
        let span = condition.map_or(key.span, |condition| condition.span);
        let word = condition.and_then(|condition| notes.known_text(condition));
        let word = match word.as_deref() {
            None | Some("service_started") => "START",
            Some("service_healthy") => "HEALTHY",
            Some("service_completed_successfully") => "SUCCESS",
            // The reader reports a word that is none of the conditions.
            Some(other) => other,
        };
        edges.push(edge(&key.name, text(word, span), key.span));
        if let Some(restart) = settings.get("restart") {
            let message = "`restart` of a dependency is not evaluated: ECS restarts no container with another one";
            notes.add(restart.span, message);
        }
    }
    some_list(edges, depends_on.span)
}

fn health_check(service: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let check = service.get("healthcheck")?;
    let is_disabled = check
        .get("disable")
        .is_some_and(|node| notes.known_text(node).as_deref() == Some("true"));
    let Some(test) = check.get("test").filter(|_| !is_disabled) else {
        if !is_disabled {
            let message = "this health check is not evaluated: it is that of the image, which ECS does not run; add `test`";
            notes.add(check.span, message);
        }
        return None;
    };

    // Compose runs a string with the shell of the container.
    let words = match &test.value {
        NodeValue::Text(line) => Some(list(
            vec![text("CMD-SHELL", test.span), text(line, test.span)],
            test.span,
        )),
        _ => text_list(test, notes),
    }?;
    // ECS ignores the check of the image, so no check is the same as this word.
    if words.items().first().and_then(Node::text) == Some("NONE") {
        return None;
    }

    let mut record = Record::new(check.span).with("command", words);
    for (field, name) in [
        ("interval", "interval"),
        ("timeout", "timeout"),
        ("start_period", "startPeriod"),
    ] {
        if let Some(node) = check.get(field) {
            record.add_some(name, duration(node, notes));
        }
    }
    record.add_some(
        "retries",
        check.get("retries").map(|node| integer(node, notes)),
    );
    if let Some(node) = check.get("start_interval") {
        notes.add(
            node.span,
            "`start_interval` is not evaluated: ECS has one interval",
        );
    }
    Some(record.into_node())
}

fn environment(service: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let node = service.get("environment")?;
    let variables = pairs(node, '=', notes).into_iter().map(|pair| {
        // A variable without a value has that of the shell that runs Compose.
        let value = pair.value.unwrap_or_else(|| unknown(&pair.name, pair.span));
        Record::new(pair.span)
            .with("name", text(pair.name, pair.name_span))
            .with("value", value)
            .into_node()
    });
    some_list(variables.collect(), node.span)
}

fn logging(service: &Node, notes: &Notes<'_>) -> Option<Node> {
    let logging = service.get("logging")?;
    let driver = logging
        .get("driver")
        .and_then(|driver| scalar_text(driver, notes))?;
    let mut record = Record::new(logging.span).with("logDriver", driver);
    let options = logging
        .get("options")
        .and_then(|options| text_map(options, notes));
    record.add_some("options", options);
    Some(record.into_node())
}

fn volumes_from(service: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let node = service.get("volumes_from")?;
    let mut sources = Vec::new();
    for item in node.items() {
        let written = notes.known_text(item).unwrap_or_default();
        if written.starts_with("container:") {
            notes.add(
                item.span,
                "volumes of a container outside of this file are not evaluated",
            );
            continue;
        }

        let (name, mode) = written.split_once(':').unwrap_or((&written, ""));
        let mut record = Record::new(item.span).with("sourceContainer", text(name, item.span));
        if mode == "ro" {
            record.add("readOnly", boolean(true, item.span));
        }
        sources.push(record.into_node());
    }
    some_list(sources, node.span)
}

/// Adds the settings of a service that ECS has for the task.
fn add_task_settings(service: &Node, task: &mut Task, notes: &mut Notes<'_>) {
    if let Some(node) = service.get("platform") {
        let platform = notes
            .known_text(node)
            .and_then(|platform| platform_record(&platform, node.span));
        match (&task.platform, platform) {
            (None, Some(platform)) => task.platform = Some(platform),
            (Some(first), Some(other)) if first.to_json() == other.to_json() => {}
            _ => notes.add(
                node.span,
                "this platform is not evaluated: a task has one, for all its containers",
            ),
        }
    }
    for (field, mode) in [("pid", &mut task.pid_mode), ("ipc", &mut task.ipc_mode)] {
        let Some(node) = service.get(field) else {
            continue;
        };
        // `service:NAME` and `container:NAME` share with one container, which ECS has for all of them only.
        match notes.known_text(node).as_deref() {
            Some("host") => *mode = Some(text("host", node.span)),
            Some("private" | "shareable" | "none") => {}
            _ => *mode = Some(text("task", node.span)),
        }
    }
}

fn platform_record(platform: &str, span: Span) -> Option<Node> {
    let mut parts = platform.split('/');
    let (system, architecture) = match (parts.next()?, parts.next()) {
        (system, Some(architecture)) => (system, architecture),
        (architecture, None) => ("linux", architecture),
    };
    let architecture = match architecture {
        "amd64" | "x86_64" => "X86_64",
        "arm64" | "aarch64" => "ARM64",
        _ => return None,
    };
    (system == "linux").then(|| {
        Record::new(span)
            .with("cpuArchitecture", text(architecture, span))
            .with("operatingSystemFamily", text("LINUX", span))
            .into_node()
    })
}

/// Reports a restart policy that an ECS service does not have: it replaces each task that ends.
fn report_restart(service: &Node, notes: &mut Notes<'_>) {
    let Some(restart) = service.get("restart") else {
        return;
    };
    let word = notes.known_text(restart).unwrap_or_default();
    if word.starts_with("on-failure") {
        let message = format!(
            "`restart: {word}` is not evaluated: an ECS service replaces a task whose essential container ends, also \
             after success"
        );
        notes.add(restart.span, message);
    }
}

/// Adds an unknown value for each field that the extended service may have.
fn add_unknown_fields(container: &mut Record, span: Span) {
    let Schema::Record(fields) = ContainerDefinition::SCHEMA else {
        return;
    };
    for field in fields {
        if !container.has(field.name) {
            container.add(field.name, unknown(field.name, span));
        }
    }
}

/// Returns the span of a field, for messages about it.
pub(super) fn field_span(service: &Node, field: &str) -> Span {
    key_span(service, field)
}
