//! Reads services of ECS Express Mode: their container is checked as the container `Main` of a task definition.
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateExpressGatewayService.html>

use std::collections::BTreeMap;

use diagnostics::source::{Node, Source};
use diagnostics::{Finding, Location, RuleRef};
use task_definition::{ExpressService, WRONG_TYPE, read_partial_record};

use super::convert::UnknownValue;
use super::derived::record::{Record, list, number, text, texts};
use super::document::{Document, DocumentKind};
use super::evaluate::function;
use super::for_each::Resource;
use super::read::{Reading, definition};
use super::source_map::{Naming, SourceMap};

pub(super) const EXPRESS: &str = "AWS::ECS::ExpressGatewayService";

/// The rule about settings that exclude each other.
const CONFLICT: RuleRef = RuleRef {
    id: "Q10",
    source: "ECS API, CreateExpressGatewayService, field taskDefinitionArn",
};

/// The rule about the container that a load balancer sends requests to.
const TARGET: RuleRef = RuleRef {
    id: "P07",
    source: "ECS API, CreateExpressGatewayService, field taskDefinitionArn",
};

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

    let mut main = Record::new(container.span).with("name", text(MAIN, container.span));
    for field in SAME {
        main.add_some(field, container.get(field).cloned());
    }
    let port = container.get("containerPort").cloned();
    let port = port.unwrap_or_else(|| number(80, container.span));
    let mapping = Record::new(port.span).with("containerPort", port.clone());
    main.add("portMappings", list(vec![mapping.into_node()], port.span));
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

/// The checks of the service itself.
struct Settings<'s> {
    source: &'s Source,
    node: &'s Node,
    service: &'s ExpressService,
}

impl Settings<'_> {
    fn findings(&self, is_unknown: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let has_definition = self.node.get("taskDefinitionArn").is_some();
        if has_definition {
            let present = WITHOUT_DEFINITION
                .iter()
                .filter(|field| self.node.get(field).is_some());
            findings.extend(present.map(|field| {
                let message = format!("`{field}` is set beside a task definition, which has it");
                let hint = format!("remove `{field}`, or `taskDefinitionArn`");
                self.finding(CONFLICT, field, message, hint)
            }));
        }
        if self.service.service_arn.is_none() {
            findings.extend(self.missing(has_definition));
        }

        let path = self.service.health_check_path.as_deref();
        if path.is_some_and(|path| !path.starts_with('/')) && !is_unknown("/healthCheckPath") {
            let message = "the path of the health check does not begin with `/`";
            findings.push(self.finding(WRONG_TYPE, "healthCheckPath", message, "write `/health`"));
        }
        findings.extend(self.scaling(is_unknown));
        findings
    }

    /// Returns findings about the fields that CreateExpressGatewayService requires.
    fn missing(&self, has_definition: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut report = |field: &str, hint: &str| {
            let message = format!("the Express service needs `{field}`");
            findings.push(self.finding(WRONG_TYPE, field, message, hint));
        };
        if self.node.get("infrastructureRoleArn").is_none() {
            report(
                "infrastructureRoleArn",
                "add the role with which ECS makes the load balancer",
            );
        }
        if !has_definition && self.node.get("primaryContainer").is_none() {
            report(
                "primaryContainer",
                "add it with an `image`, or `taskDefinitionArn`",
            );
        }
        findings
    }

    fn scaling(&self, is_unknown: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let Some(scaling) = self.service.scaling_target.as_ref() else {
            return Vec::new();
        };
        if is_unknown("/scalingTarget") {
            return Vec::new();
        }

        let mut findings = Vec::new();
        if let (Some(least), Some(most)) = (scaling.min_task_count, scaling.max_task_count)
            && least > most
        {
            let message = format!("the service scales from {least} to {most} tasks");
            findings.push(self.finding(
                WRONG_TYPE,
                "scalingTarget",
                message,
                "write the smaller number first",
            ));
        }
        let metric = scaling.auto_scaling_metric.as_deref();
        if let Some(metric) = metric.filter(|metric| !METRICS.contains(metric)) {
            let message = format!("`{metric}` is not a metric of Express Mode");
            let hint = format!("choose one of: {}", METRICS.join(", "));
            findings.push(self.finding(WRONG_TYPE, "scalingTarget", message, hint));
        }
        findings
    }

    fn finding(
        &self,
        rule: RuleRef,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let entry = self
            .node
            .entries()
            .iter()
            .find(|(key, _)| key.name == field);
        let span = entry.map_or(self.node.span, |(key, _)| key.span);
        let location = Location::from_span(self.source, span);
        rule.error(location, message, hint)
            .with_pointer(format!("/{field}"))
    }
}

/// The fields that a task definition has instead of the service.
const WITHOUT_DEFINITION: [&str; 6] = [
    "primaryContainer",
    "executionRoleArn",
    "taskRoleArn",
    "cpu",
    "memory",
    "cpuArchitecture",
];
const METRICS: [&str; 3] = ["AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET"];

/// Fields of a DescribeExpressGatewayService response that the input does not have.
const RESPONSE_ONLY_FIELDS: [&str; 6] = [
    "status",
    "currentDeployment",
    "activeConfigurations",
    "createdAt",
    "updatedAt",
    "statusReason",
];

/// Checks the task definitions of a template that its services of Express Mode refer to.
pub(super) fn check_references(
    source: &Source,
    resources: &[Resource],
    documents: &[Document],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for resource in resources {
        if resource.node.get("Type").and_then(Node::text) != Some(EXPRESS) {
            continue;
        }
        let Some(reference) = resource.node.at("/Properties/TaskDefinitionArn") else {
            continue;
        };
        let id = function(reference).and_then(|(_, argument)| {
            let name = argument.items().first().unwrap_or(argument).text()?;
            name.split('.').next()
        });
        let document = documents
            .iter()
            .find(|document| id.is_some_and(|id| document.names.iter().any(|name| name == id)));
        if let (Some(document), Some(id)) = (document, id) {
            let location = Location::from_span(source, reference.span);
            let pointer = format!("{}/Properties/TaskDefinitionArn", resource.pointer);
            findings.extend(problems(document, id).into_iter().map(|(message, hint)| {
                let finding = TARGET.error(location.clone(), message, hint);
                finding.with_pointer(pointer.clone())
            }));
        }
    }
    findings
}

/// Returns what a task definition lacks for Express Mode, and what to do.
fn problems(document: &Document, id: &str) -> Vec<(String, &'static str)> {
    let DocumentKind::Definition(located) = &document.kind else {
        return Vec::new();
    };
    let is_unknown = |pointer: &str| {
        document
            .unknown_values()
            .any(|unknown| unknown.starts_with(pointer))
    };
    let definition = &located.definition;
    let mut problems = Vec::new();
    if !definition.is_fargate() && !is_unknown("/requiresCompatibilities") {
        let message = format!("Express Mode runs tasks on Fargate, and `{id}` is not for FARGATE");
        problems.push((message, "add FARGATE to `RequiresCompatibilities`"));
    }
    if is_unknown("/containerDefinitions") {
        return problems;
    }

    match definition.container(MAIN) {
        None => {
            let message = format!(
                "Express Mode sends requests to the container `{MAIN}`, which `{id}` does not have"
            );
            problems.push((
                message,
                "rename the container that gets the requests to `Main`",
            ));
        }
        Some(main) => {
            let is_tcp = |protocol: Option<&str>| protocol.is_none_or(|protocol| protocol == "tcp");
            let fits = matches!(main.port_mappings.as_slice(), [port]
                if port.container_port.is_some() && port.name.is_some() && is_tcp(port.protocol.as_deref()));
            if !fits {
                let message = format!(
                    "Express Mode needs exactly one TCP port mapping with a name in `{MAIN}` of `{id}`"
                );
                problems.push((
                    message,
                    "give `Main` one port mapping with `ContainerPort` and `Name`",
                ));
            }
        }
    }
    problems
}
