//! `assemble permissions`: prints the smallest IAM policy with which a verb works.

use clap::{Args, ValueEnum};
use ecs_client::{AwsVerb, Resources};
use task_definition::{ImageReference, TaskDefinition};

use super::remote::Target;
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `permissions`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Verb that calls AWS.
    #[arg(value_enum)]
    verb: Verb,
    /// Assembly or task definition that the policy is limited to.
    #[arg(value_name = "NAME|FILE")]
    what: Option<String>,
    /// Cluster that the policy is limited to, by name.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    values: ValueArguments,
}

/// The verbs that call AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verb {
    Continue,
    Deploy,
    /// `deploy` and `rollback` of a stack, besides the permissions for its resources.
    DeployStack,
    /// `destroy`, besides the permissions for the resources.
    Destroy,
    Diff,
    Exec,
    Forward,
    /// `init aws`.
    Init,
    Logs,
    Register,
    Rollback,
    Run,
    Scale,
    Status,
    Verify,
    Why,
    /// `images push` to Amazon ECR.
    ImagesPush,
    /// `images prune` with Amazon ECR.
    ImagesPrune,
    /// `lock` with Amazon ECR, and every verb that reads images.
    Lock,
}

/// Prints the policy on stdout, and the reason of each permission on stderr.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let verb = match arguments.verb {
        Verb::Continue => AwsVerb::Continue,
        Verb::Deploy => AwsVerb::Deploy,
        Verb::DeployStack => AwsVerb::DeployStack,
        Verb::Destroy => AwsVerb::Destroy,
        Verb::Diff => AwsVerb::Diff,
        Verb::Exec => AwsVerb::Exec,
        Verb::Forward => AwsVerb::Forward,
        Verb::Init => AwsVerb::Init,
        Verb::Logs => AwsVerb::Logs,
        Verb::Register => AwsVerb::Register,
        Verb::Rollback => AwsVerb::Rollback,
        Verb::Run => AwsVerb::Run,
        Verb::Scale => AwsVerb::Scale,
        Verb::Status => AwsVerb::Status,
        Verb::Verify => AwsVerb::Verify,
        Verb::Why => AwsVerb::Why,
        Verb::ImagesPush => AwsVerb::ImagesPush,
        Verb::ImagesPrune => AwsVerb::ImagesPrune,
        Verb::Lock => AwsVerb::Lock,
    };
    let resources = match &arguments.what {
        Some(what) => resources(&Target::read(what, &arguments.values, project)?),
        None => Resources::default(),
    };
    let resources = Resources {
        cluster: arguments.cluster.clone(),
        ..resources
    };

    let policy = serde_json::to_string_pretty(&verb.policy(&resources)).unwrap_or_default();
    ui.data(&format!("{policy}\n"));
    for permission in verb.permissions() {
        ui.message(&format!("{}: {}", permission.action, permission.reason));
    }
    Ok(0)
}

/// Returns the resources that a definition uses.
fn resources(target: &Target) -> Resources {
    let definition = &target.definition;
    let roles = [&definition.execution_role_arn, &definition.task_role_arn];
    let groups = definition
        .container_definitions
        .iter()
        .filter_map(|container| {
            let logs = container.log_configuration.as_ref()?;
            let group = logs.options.get("awslogs-group")?;
            (logs.log_driver == "awslogs").then(|| group.clone())
        });
    let mut log_groups: Vec<_> = groups.collect();
    log_groups.sort();
    log_groups.dedup();

    Resources {
        account: target.expected.account.clone(),
        region: target.expected.region.clone(),
        cluster: None,
        family: Some(definition.family.clone()),
        roles: Some(roles.into_iter().flatten().cloned().collect()),
        log_groups: Some(log_groups),
        repositories: Some(repositories(definition)),
        secrets: Some(secrets(definition)),
    }
}

/// Returns the repositories of Amazon ECR that the images of a definition are in, sorted.
fn repositories(definition: &TaskDefinition) -> Vec<String> {
    let images = definition.container_definitions.iter();
    let names = images.filter_map(|container| {
        let repository = ImageReference::parse(&container.image).repository();
        let (host, name) = repository.split_once('/')?;
        // `ACCOUNT.dkr.ecr.REGION.…`, or `ACCOUNT.dkr-ecr.REGION.…` with IPv6.
        let is_ecr = host.contains(".dkr.ecr") || host.contains(".dkr-ecr");
        is_ecr.then(|| name.to_owned())
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// Returns the ARNs of the secrets of Secrets Manager that a definition refers to, sorted.
fn secrets(definition: &TaskDefinition) -> Vec<String> {
    let containers = definition.container_definitions.iter();
    let secrets = containers.flat_map(|container| {
        let logs = container.log_configuration.iter();
        let options = logs.flat_map(|logs| &logs.secret_options);
        container.secrets.iter().chain(options)
    });
    let mut arns: Vec<String> = secrets
        .filter(|secret| secret.value_from.contains(":secretsmanager:"))
        // A key, a stage and a version can follow: `arn:…:secret:NAME:KEY:STAGE:VERSION`.
        .map(|secret| {
            let parts: Vec<_> = secret.value_from.split(':').take(7).collect();
            parts.join(":")
        })
        .collect();
    arns.sort();
    arns.dedup();
    arns
}
