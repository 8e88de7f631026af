//! Recognizes files of other tools, which contain no document that the rules read.

use diagnostics::source::Node;

/// A kind of file that no rule reads, and what to pass instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignFile {
    /// The kind with its article: `a Compose file`.
    pub kind: &'static str,
    /// What to do.
    pub hint: &'static str,
}

/// Returns the kind of a file of another tool.
///
/// Only fields that an assembly manifest cannot have, or has with another type, decide, so a manifest with mistakes is
/// still read as one.
pub fn foreign_file(node: &Node) -> Option<ForeignFile> {
    KINDS
        .iter()
        .find(|(matches, _)| matches(node))
        .map(|(_, file)| *file)
}

type Matches = fn(&Node) -> bool;

/// The kinds. The first match wins, so those with the most specific fields come first.
const KINDS: [(Matches, ForeignFile); 14] = [
    (
        // https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
        |node| {
            has_all(node, &["eventSource", "eventName"]) || first_has(node, "Records", "eventName")
        },
        ForeignFile {
            kind: "a CloudTrail event",
            hint: "pass its `requestParameters`, which has the form of the API request",
        },
    ),
    (
        // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
        |node| has_all(node, &["detail-type", "detail"]),
        ForeignFile {
            kind: "an EventBridge event",
            hint: "`assemble why` explains why a task stopped",
        },
    ),
    (
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
        |node| node.get("Statement").is_some() && node.get("Resources").is_none(),
        ForeignFile {
            kind: "an IAM policy",
            hint: "`check` reads task definitions, services and manifests; `assemble permissions` shows the policies of an assembly",
        },
    ),
    (
        // https://docs.docker.com/reference/compose-file/
        |node| {
            is_map(node, "services") && node.get("app").is_none() && node.get("service").is_none()
        },
        ForeignFile {
            kind: "a Compose file",
            hint: "no command reads Compose files; describe the service in a manifest (`assemble new`), or pass a task definition",
        },
    ),
    (
        // https://aws.github.io/copilot-cli/docs/manifest/overview/
        |node| text(node, "type").is_some_and(|kind| COPILOT.contains(&kind)),
        ForeignFile {
            kind: "an AWS Copilot manifest",
            hint: "pass the template that `copilot svc package` or `copilot job package` prints",
        },
    ),
    (
        // https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
        |node| is_map(node, "jobs"),
        ForeignFile {
            kind: "a GitHub Actions workflow",
            hint: "pass the task definition that the workflow deploys",
        },
    ),
    (
        // https://www.serverless.com/framework/docs/providers/aws/guide/serverless.yml
        |node| {
            node.get("provider").is_some()
                && (is_map(node, "functions")
                    || node
                        .get("service")
                        .is_some_and(|name| name.text().is_some()))
        },
        ForeignFile {
            kind: "a Serverless Framework file",
            hint: "run `serverless package` and pass the CloudFormation template that it writes",
        },
    ),
    (
        // https://github.com/kayac/ecspresso#configuration-file
        |node| {
            text(node, "task_definition").is_some() || text(node, "service_definition").is_some()
        },
        ForeignFile {
            kind: "an ecspresso configuration",
            hint: "pass the files that its `task_definition` and `service_definition` name",
        },
    ),
    (
        |node| has_all(node, &["apiVersion", "kind"]),
        ForeignFile {
            kind: "a Kubernetes manifest",
            hint: "`check` reads task definitions, services and manifests of assemblies",
        },
    ),
    (
        // https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
        |node| node.get("version").is_some() && is_map(node, "phases"),
        ForeignFile {
            kind: "a CodeBuild build specification",
            hint: "pass the task definition that the build deploys",
        },
    ),
    (
        // https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file.html
        |node| node.get("version").is_some() && first_has(node, "Resources", "TargetService"),
        ForeignFile {
            kind: "a CodeDeploy AppSpec file",
            hint: "pass the task definition that it names",
        },
    ),
    (
        |node| node.get("$schema").is_some() && node.get("properties").is_some(),
        ForeignFile {
            kind: "a JSON Schema",
            hint: "`check` reads task definitions, services and manifests",
        },
    ),
    (
        // https://developer.hashicorp.com/terraform/internals/json-format
        |node| has_all(node, &["terraform_version", "lineage"]),
        ForeignFile {
            kind: "a raw Terraform state",
            hint: "pass the output of `terraform show -json`",
        },
    ),
    (
        |node| {
            node.get("format_version").is_some()
                && (node.get("planned_values").is_some() || node.get("values").is_some())
        },
        ForeignFile {
            kind: "a Terraform plan or state without ECS resources",
            hint: "`check` reads `aws_ecs_task_definition` and `aws_ecs_service`",
        },
    ),
];

/// The types of services and jobs that Copilot has.
const COPILOT: [&str; 6] = [
    "Load Balanced Web Service",
    "Request-Driven Web Service",
    "Backend Service",
    "Worker Service",
    "Static Site",
    "Scheduled Job",
];

fn has_all(node: &Node, keys: &[&str]) -> bool {
    keys.iter().all(|key| node.get(key).is_some())
}

fn first_has(node: &Node, list: &str, key: &str) -> bool {
    let first = node.get(list).and_then(|list| list.items().first());
    first.is_some_and(|item| item.get(key).is_some())
}

fn is_map(node: &Node, key: &str) -> bool {
    node.get(key)
        .is_some_and(|value| !value.entries().is_empty())
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.get(key).and_then(Node::text)
}
