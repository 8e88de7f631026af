//! Recognizes files of other tools, which contain no document that the rules read.

use std::path::Path;

use diagnostics::source::{Node, Source, parse};

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
const KINDS: &[(Matches, ForeignFile)] = &[
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
        // https://aws.github.io/copilot-cli/docs/manifest/static-site/
        |node| text(node, "type") == Some("Static Site"),
        ForeignFile {
            kind: "an AWS Copilot manifest of a static site",
            hint: "it has no task: CloudFront and S3 serve its files, and `check` has nothing to read in it",
        },
    ),
    (
        // https://aws.github.io/copilot-cli/docs/manifest/environment/
        |node| text(node, "type") == Some("Environment"),
        ForeignFile {
            kind: "an AWS Copilot environment manifest",
            hint: "pass the manifests of its services and jobs, which `check` and `up` read",
        },
    ),
    (
        |node| text(node, "type").is_some() && node.get("name").is_some() && is_map(node, "image"),
        ForeignFile {
            kind: "an AWS Copilot manifest with a type that Copilot does not have",
            hint: "write `type: Load Balanced Web Service`, `Backend Service`, `Worker Service`, `Scheduled Job` or \
                `Request-Driven Web Service`",
        },
    ),
    (
        // https://aws.github.io/copilot-cli/docs/manifest/pipeline/
        |node| has_all(node, &["name", "source", "stages"]),
        ForeignFile {
            kind: "an AWS Copilot pipeline manifest",
            hint: "pass the manifests of the services and jobs that it deploys",
        },
    ),
    (
        // https://docs.aws.amazon.com/apprunner/latest/dg/config-file-ref.html
        |node| has_all(node, &["version", "runtime"]) && is_map(node, "run"),
        ForeignFile {
            kind: "an App Runner configuration file",
            hint: "no command reads it yet; describe the service in a manifest (`assemble new assembly NAME`)",
        },
    ),
    (
        // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cmd-ecs-cli-compose-ecsparams.html
        |node| is_map(node, "task_definition") && node.get("version").is_some(),
        ForeignFile {
            kind: "an ecs-params file of the ECS CLI",
            hint: "pass the Compose file beside it, which `check` and `up` read",
        },
    ),
    (
        // https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create_deploy_docker_v2config.html
        |node| node.get("AWSEBDockerrunVersion").is_some(),
        ForeignFile {
            kind: "a Dockerrun file of Elastic Beanstalk",
            hint: "pass its `containerDefinitions` as a list of containers",
        },
    ),
    (
        |node| first_has(node, "tasks", "taskArn"),
        ForeignFile {
            kind: "a response of DescribeTasks",
            hint: "`assemble why` explains why a task stopped",
        },
    ),
    (
        |node| node.get("taskDefinitionArns").is_some() || node.get("serviceArns").is_some(),
        ForeignFile {
            kind: "a list of ARNs",
            hint: "pass the output of `aws ecs describe-task-definition` or `describe-services`",
        },
    ),
    (
        // https://docs.aws.amazon.com/cdk/v2/guide/cli.html
        |node| text(node, "app").is_some() && (is_map(node, "context") || is_map(node, "watch")),
        ForeignFile {
            kind: "a CDK configuration",
            hint: "run `cdk synth` and pass the template in `cdk.out`",
        },
    ),
    (
        |node| node.get("version").is_some() && is_map(node, "artifacts"),
        ForeignFile {
            kind: "a manifest of a CDK assembly",
            hint: "pass the `.template.json` files beside it",
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
        // https://cloud.google.com/run/docs/reference/yaml/v1
        |node| has_prefix(node, "apiVersion", "serving.knative.dev/"),
        ForeignFile {
            kind: "a Knative service, which Google Cloud Run uses",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://docs.score.dev/docs/score-specification/score-spec-reference/
        |node| has_prefix(node, "apiVersion", "score.dev/"),
        ForeignFile {
            kind: "a Score workload",
            hint: "run `score-compose generate` and pass the Compose file, which `check` and `up` read",
        },
    ),
    (
        |node| has_all(node, &["apiVersion", "kind"]),
        ForeignFile {
            kind: "a Kubernetes manifest",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://helm.sh/docs/topics/charts/#the-chartyaml-file
        |node| has_all(node, &["apiVersion", "name", "version"]),
        ForeignFile {
            kind: "a Helm chart",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://docs.docker.com/build/bake/reference/
        |node| is_map(node, "target") && node.get("family").is_none() && node.get("app").is_none(),
        ForeignFile {
            kind: "a bake file of Docker",
            hint: "it only builds images; pass the task definition or the Compose file that runs them",
        },
    ),
    (
        // https://devcenter.heroku.com/articles/procfile
        is_procfile,
        ForeignFile {
            kind: "a Procfile",
            hint: "describe each process in a manifest (`assemble new assembly NAME`)",
        },
    ),
    (
        // https://learn.microsoft.com/azure/container-apps/azure-resource-manager-api-spec
        |node| {
            has_prefix(node, "type", "Microsoft.")
                || node
                    .at("/resources/0/type")
                    .and_then(Node::text)
                    .is_some_and(|kind| kind.starts_with("Microsoft."))
                || text(node, "$schema")
                    .is_some_and(|schema| schema.contains("schema.management.azure.com"))
        },
        ForeignFile {
            kind: "an Azure resource or template",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/pipeline
        |node| {
            (node.get("trigger").is_some() || node.get("pool").is_some())
                && ["steps", "stages", "jobs"]
                    .iter()
                    .any(|key| node.get(key).is_some())
        },
        ForeignFile {
            kind: "an Azure pipeline",
            hint: "pass the task definition that the pipeline deploys",
        },
    ),
    (
        // https://cloud.google.com/appengine/docs/standard/reference/app-yaml
        |node| {
            text(node, "runtime").is_some()
                && [
                    "handlers",
                    "automatic_scaling",
                    "basic_scaling",
                    "instance_class",
                    "env",
                ]
                .iter()
                .any(|key| node.get(key).is_some())
        },
        ForeignFile {
            kind: "an App Engine configuration of Google Cloud",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://cloud.google.com/build/docs/build-config-file-schema
        |node| first_has(node, "steps", "name") && node.get("app").is_none(),
        ForeignFile {
            kind: "a Cloud Build configuration of Google Cloud",
            hint: "pass the task definition that the build deploys",
        },
    ),
    (
        // https://developer.hashicorp.com/nomad/api-docs/json-jobs
        |node| node.at("/Job/TaskGroups").is_some(),
        ForeignFile {
            kind: "a Nomad job",
            hint: OTHER_CLOUD,
        },
    ),
    (
        // https://docs.gitlab.com/ci/yaml/
        |node| {
            node.get("stages")
                .is_some_and(|stages| !stages.items().is_empty())
                && node.get("app").is_none()
        },
        ForeignFile {
            kind: "a GitLab CI configuration",
            hint: "pass the task definition that the pipeline deploys",
        },
    ),
    (
        // https://www.pulumi.com/docs/iac/concepts/projects/project-file/
        |node| has_all(node, &["name", "runtime"]) && node.get("app").is_none(),
        ForeignFile {
            kind: "a Pulumi project",
            hint: "pass the task definition that it registers, from `aws ecs describe-task-definition`",
        },
    ),
    (
        // https://docs.npmjs.com/cli/configuring-npm/package-json
        |node| {
            node.get("name").is_some()
                && (is_map(node, "scripts") || is_map(node, "devDependencies"))
        },
        ForeignFile {
            kind: "a package.json",
            hint: "describe the program in a manifest (`assemble new assembly NAME`)",
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

const OTHER_CLOUD: &str = "`check` and `up` read task definitions, services, templates of CloudFormation, Compose files, \
    Copilot manifests and manifests of assemblies";

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

fn has_prefix(node: &Node, key: &str, prefix: &str) -> bool {
    text(node, key).is_some_and(|value| value.starts_with(prefix))
}

/// Returns whether all entries are commands, and one has a name that only Procfiles have.
fn is_procfile(node: &Node) -> bool {
    let entries = node.entries();
    let is_process = |name: &str| ["web", "worker", "release", "clock"].contains(&name);
    entries.iter().all(|(_, command)| command.text().is_some())
        && entries.iter().any(|(key, _)| is_process(&key.name))
}

/// Returns the kind of a text that is neither JSON nor YAML, or has several documents.
pub fn foreign_text(source: &Source) -> Option<ForeignFile> {
    let end = Path::new(&source.name).extension();
    let lines = || source.text.lines().map(str::trim_start);
    // The parsers of these formats are not needed to tell what they are.
    let first = lines().find(|line| !line.is_empty() && !line.starts_with('#'));
    let has_block =
        |words: &[&str]| lines().any(|line| words.iter().any(|word| line.starts_with(word)));

    if first.is_some_and(|line| line.starts_with("FROM ") || line.starts_with("ARG ")) {
        return Some(ForeignFile {
            kind: "a Dockerfile",
            hint: "pass the task definition that runs its image",
        });
    }
    if has_block(&["resource \"", "module \"", "terraform {"]) {
        return Some(ForeignFile {
            kind: "a Terraform configuration",
            hint: "pass the output of `terraform show -json`, of a plan or of the state",
        });
    }
    if has_block(&["target \"", "group \""]) {
        return Some(ForeignFile {
            kind: "a bake file of Docker",
            hint: "it only builds images; pass the task definition or the Compose file that runs them",
        });
    }
    if end.is_some_and(|end| end == "toml") && first.is_some() {
        return Some(ForeignFile {
            kind: "a TOML file",
            hint: OTHER_CLOUD,
        });
    }

    // The first of several documents, as in a file of Kubernetes.
    let text = source.text.trim_start_matches("---").trim_start();
    let (first, _) = text.split_once("\n---")?;
    let node = parse(&Source::new(source.name.clone(), first)).ok()?;
    foreign_file(&node)
}
