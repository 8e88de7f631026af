//! Reads services of ECS Express Mode: their container is checked as the container `Main` of a task definition.
//!
//! | file | does |
//! |---|---|
//! | `settings` | checks the settings of the service |
//! | `references` | checks the task definition that a service of a template refers to |
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateExpressGatewayService.html>

use std::collections::BTreeMap;

use diagnostics::Finding;
use diagnostics::source::{Node, Source};
use task_definition::{ExpressService, read_partial_record};

use super::convert::UnknownValue;
use super::derived::record::{Record, list, number, text, texts};
use super::read::{Reading, definition};
use super::source_map::{Naming, SourceMap};

mod references;
mod settings;

pub(super) use references::check_references;
use settings::Settings;

pub(super) const EXPRESS: &str = "AWS::ECS::ExpressGatewayService";

/// Reads a service with the API's names. `pointers` are those of its values in the file.
pub(super) fn read(
    source: &Source,
    node: &Node,
    source_map: &SourceMap,
    unknowns: Vec<UnknownValue>,
) -> Reading {
    let fields = &RESPONSE_ONLY_FIELDS;
    let partial =
        match read_partial_record::<ExpressService>(source, node, "the Express service", fields) {
            Ok(partial) => partial,
            Err(findings) => return (None, translate(source_map, findings)),
        };

    // A value that refers to another resource is not checked.
    let is_unknown = |pointer: &str| {
        let mut all = unknowns.iter().map(|unknown| unknown.pointer.as_str());
        all.any(|at| at == pointer || at.starts_with(&format!("{pointer}/")))
    };
    let mut findings = partial.findings;
    let own = Settings {
        source,
        node,
        service: &partial.record,
    };
    findings.extend(own.findings(&is_unknown));
    let findings = translate(source_map, findings);

    let Some(container) = node
        .get("primaryContainer")
        .filter(|_| !is_unknown_whole(&unknowns))
    else {
        return (None, findings);
    };

    let record = build(node, container);
    let (document, more) = definition(source, record, definition_map(source_map));
    let document = document.map(|mut document| {
        let unknowns = unknowns.into_iter().filter_map(|unknown| {
            let pointer = definition_pointer(&unknown.pointer)?;
            Some(UnknownValue { pointer, ..unknown })
        });
        document.unknowns.extend(unknowns);
        document
    });

    // What is wrong with a value of the container is reported about the service.
    let is_new = |finding: &Finding| {
        !findings
            .iter()
            .any(|other| other.location == finding.location)
    };
    let more: Vec<Finding> = more.into_iter().filter(is_new).collect();
    (document, findings.into_iter().chain(more).collect())
}

fn is_unknown_whole(unknowns: &[UnknownValue]) -> bool {
    unknowns
        .iter()
        .any(|unknown| unknown.pointer == "/primaryContainer")
}

fn translate(source_map: &SourceMap, findings: Vec<Finding>) -> Vec<Finding> {
    let translated = findings
        .into_iter()
        .map(|finding| source_map.translate(finding));
    translated.collect()
}

/// Builds the task definition that Express Mode makes.
fn build(service: &Node, container: &Node) -> Node {
    let span = service.span;
    let copy = |name: &str| service.get(name).cloned();
    let mut record = Record::new(span);
    record.add(
        "family",
        copy("serviceName").unwrap_or_else(|| text("express", span)),
    );
    record.add("requiresCompatibilities", texts(["FARGATE"], span));
    record.add("networkMode", text("awsvpc", span));
    record.add("cpu", copy("cpu").unwrap_or_else(|| text("256", span)));
    record.add(
        "memory",
        copy("memory").unwrap_or_else(|| text("512", span)),
    );
    for field in ["executionRoleArn", "taskRoleArn", "tags"] {
        record.add_some(field, copy(field));
    }
    if let Some(architecture) = copy("cpuArchitecture") {
        let platform = Record::new(architecture.span)
            .with("cpuArchitecture", architecture.clone())
            .with("operatingSystemFamily", text("LINUX", architecture.span));
        record.add("runtimePlatform", platform.into_node());
    }

    // The operating system is always Linux, and the name of the container `Main`.
    let mut main = Record::new(container.span).with("name", text(MAIN, container.span));
    for field in SAME {
        main.add_some(field, container.get(field).cloned());
    }
    let port = container.get("containerPort").cloned();
    let port = port.unwrap_or_else(|| number(80, container.span));
    let mapping = Record::new(port.span).with("containerPort", port.clone());
    main.add("portMappings", list(vec![mapping.into_node()], port.span));

    // Without this field ECS makes a log group itself.
    if let Some(logs) = container.get("awsLogsConfiguration") {
        main.add("logConfiguration", log_configuration(logs));
    }
    record.add(
        "containerDefinitions",
        list(vec![main.into_node()], container.span),
    );
    record.into_node()
}

fn log_configuration(logs: &Node) -> Node {
    let mut options = Record::new(logs.span);
    options.add_some("awslogs-group", logs.get("logGroup").cloned());
    options.add_some(
        "awslogs-stream-prefix",
        logs.get("logStreamPrefix").cloned(),
    );
    // ECS sets the region of the service.
    options.add("awslogs-region", text("us-east-1", logs.span));
    Record::new(logs.span)
        .with("logDriver", text("awslogs", logs.span))
        .with("options", options.into_node())
        .into_node()
}

/// The container that gets the requests.
const MAIN: &str = "Main";
/// The fields of the container that a container definition has too.
const SAME: [&str; 5] = [
    "image",
    "command",
    "environment",
    "secrets",
    "repositoryCredentials",
];

/// Returns the pointers of the definition in the file.
fn definition_map(service: &SourceMap) -> SourceMap {
    let mut pointers: BTreeMap<String, String> = service
        .pointers
        .iter()
        .filter_map(|(api, user)| Some((definition_pointer(api)?, user.clone())))
        .collect();
    pointers.insert(String::new(), service.pointer(""));

    // Records that the definition has around values of the service.
    for (api, express) in [
        ("/containerDefinitions", "/primaryContainer"),
        (
            "/containerDefinitions/0/portMappings",
            "/primaryContainer/containerPort",
        ),
        (
            "/containerDefinitions/0/logConfiguration",
            "/primaryContainer/awsLogsConfiguration",
        ),
    ] {
        pointers.insert(api.to_owned(), service.pointer(express));
    }

    for (express, api) in POINTERS {
        let user = service.pointer(express);
        pointers.entry(api.to_owned()).or_insert(user);
    }
    SourceMap {
        naming: Naming::Derived,
        pointers,
        not_editable: [String::new()].into(),
    }
}

/// Returns the pointer in the definition of a value of the service.
fn definition_pointer(express: &str) -> Option<String> {
    POINTERS.iter().find_map(|(from, to)| {
        let below = express.strip_prefix(from)?;
        (below.is_empty() || below.starts_with('/')).then(|| format!("{to}{below}"))
    })
}

/// The values of the service, and where the definition has them.
const POINTERS: [(&str, &str); 14] = [
    ("/primaryContainer/image", "/containerDefinitions/0/image"),
    (
        "/primaryContainer/command",
        "/containerDefinitions/0/command",
    ),
    (
        "/primaryContainer/environment",
        "/containerDefinitions/0/environment",
    ),
    (
        "/primaryContainer/secrets",
        "/containerDefinitions/0/secrets",
    ),
    (
        "/primaryContainer/repositoryCredentials",
        "/containerDefinitions/0/repositoryCredentials",
    ),
    (
        "/primaryContainer/containerPort",
        "/containerDefinitions/0/portMappings/0/containerPort",
    ),
    (
        "/primaryContainer/awsLogsConfiguration/logGroup",
        "/containerDefinitions/0/logConfiguration/options/awslogs-group",
    ),
    (
        "/primaryContainer/awsLogsConfiguration/logStreamPrefix",
        "/containerDefinitions/0/logConfiguration/options/awslogs-stream-prefix",
    ),
    ("/serviceName", "/family"),
    ("/cpu", "/cpu"),
    ("/memory", "/memory"),
    ("/executionRoleArn", "/executionRoleArn"),
    ("/taskRoleArn", "/taskRoleArn"),
    ("/cpuArchitecture", "/runtimePlatform/cpuArchitecture"),
];

/// Fields of a DescribeExpressGatewayService response that the input does not have.
const RESPONSE_ONLY_FIELDS: [&str; 6] = [
    "status",
    "currentDeployment",
    "activeConfigurations",
    "createdAt",
    "updatedAt",
    "statusReason",
];
