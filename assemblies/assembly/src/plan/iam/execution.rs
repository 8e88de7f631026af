//! What ECS itself does for a task: it pulls, logs, and reads what the definition names.
//!
//! The finished definition is read, so that what `overrides:` and `patch:` bring in is allowed as well.

use std::collections::BTreeMap;

use task_definition::{ContainerDefinition, TaskDefinition};

use super::{Statement, equals, number_twins, pascal};
use crate::resolve::ResolvedAssembly;

/// The statements, in the order in which ECS needs them.
pub(in crate::plan) fn statements(
    assembly: &ResolvedAssembly,
    definition: &TaskDefinition,
) -> Vec<Statement> {
    let containers = &definition.container_definitions;
    let mut statements = images(assembly, containers);
    statements.extend(logs(assembly, containers));

    let mut secrets: Vec<Statement> = containers
        .iter()
        .flat_map(|container| secrets(assembly, container))
        .collect();

    secrets.extend(keys(assembly, &secrets));
    statements.extend(secrets);
    statements.extend(containers.iter().flat_map(files));
    number_twins(&mut statements);

    statements
}

/// Pulling images that are kept in ECR; others need no rights.
fn images(assembly: &ResolvedAssembly, containers: &[ContainerDefinition]) -> Vec<Statement> {
    let mut repositories = Asked::default();
    for container in containers {
        if let Some(repository) = repository(assembly, &container.image) {
            repositories.add(repository, &container.name);
        }
    }

    if repositories.0.is_empty() {
        return Vec::new();
    }

    let who = repositories.who();
    let pull = [
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
    ];

    vec![
        Statement {
            sid: "LogInToRegistry".to_owned(),
            actions: vec!["ecr:GetAuthorizationToken".to_owned()],
            resources: vec!["*".to_owned()],
            component: who.clone(),
            why: "ECS logs in to ECR before it pulls; this action knows no resource".to_owned(),
            ..Statement::default()
        },
        Statement {
            sid: "PullImages".to_owned(),
            actions: pull.map(|action| format!("ecr:{action}")).to_vec(),
            resources: repositories.names(),
            component: who,
            why: "ECS pulls the images of the containers".to_owned(),
            ..Statement::default()
        },
    ]
}

/// The ARN of the repository of an image in ECR: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/name:tag`.
fn repository(assembly: &ResolvedAssembly, image: &str) -> Option<String> {
    let (host, path) = image.split_once('/')?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let name = path.split(['@', ':']).next()?;
    Some(format!(
        "arn:{}:ecr:{region}:{account}:repository/{name}",
        assembly.account.partition
    ))
}

/// Writing into the groups that the containers name, and making those that are asked for.
fn logs(assembly: &ResolvedAssembly, containers: &[ContainerDefinition]) -> Vec<Statement> {
    let (mut written, mut made) = (Asked::default(), Asked::default());
    for container in containers {
        let logs = container.log_configuration.as_ref();
        let Some(logs) = logs.filter(|logs| logs.log_driver == "awslogs") else {
            continue;
        };
        let Some(group) = logs.options.get("awslogs-group") else {
            continue;
        };
        let region = logs.options.get("awslogs-region");
        let arn = assembly
            .account
            .arn_in(region, "logs", &format!("log-group:{group}:*"));

        if logs
            .options
            .get("awslogs-create-group")
            .is_some_and(|word| word == "true")
        {
            made.add(arn.clone(), &container.name);
        }
        written.add(arn, &container.name);
    }

    let write = Statement {
        sid: "WriteLogs".to_owned(),
        actions: vec![
            "logs:CreateLogStream".to_owned(),
            "logs:PutLogEvents".to_owned(),
        ],
        resources: written.names(),
        component: written.who(),
        why: "ECS writes what the containers print into the log group".to_owned(),
        ..Statement::default()
    };

    let make = Statement {
        sid: "MakeLogGroup".to_owned(),
        actions: vec!["logs:CreateLogGroup".to_owned()],
        resources: made.names(),
        component: made.who(),
        why: "`awslogs-create-group` has ECS make the log group".to_owned(),
        ..Statement::default()
    };

    let both = [write, make].into_iter();
    both.filter(|one| !one.resources.is_empty()).collect()
}

/// Reading what a container's variables, log driver and registry are filled with.
fn secrets(assembly: &ResolvedAssembly, container: &ContainerDefinition) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut read = |word: &str, value_from: &str, why: String| {
        let (action, resource) = reading(assembly, value_from);
        statements.push(Statement {
            sid: format!("Read{}{}", pascal(&container.name), pascal(word)),
            actions: vec![action.to_owned()],
            resources: vec![resource],
            component: container.name.clone(),
            why,
            ..Statement::default()
        });
    };

    for secret in &container.secrets {
        let (word, why) = match setting(assembly, container, &secret.name) {
            Some(setting) => {
                let why = format!("the secret setting `{setting}`");
                (setting, why)
            }
            None => (secret.name.to_lowercase(), format!("`{}`", secret.name)),
        };

        let why = format!("ECS puts {why} into the container's environment");
        read(&word, &secret.value_from, why);
    }

    let logs = container.log_configuration.as_ref();
    for secret in logs.map(|logs| &logs.secret_options).into_iter().flatten() {
        let why = format!("ECS gives the log driver its option `{}`", secret.name);
        read(&secret.name, &secret.value_from, why);
    }

    if let Some(credentials) = &container.repository_credentials {
        let why = "ECS logs in to the image's registry with it".to_owned();
        read("registry", &credentials.credentials_parameter, why);
    }

    statements
}

/// The secret setting whose variable it is.
fn setting(
    assembly: &ResolvedAssembly,
    container: &ContainerDefinition,
    variable: &str,
) -> Option<String> {
    let mut members = assembly.members.iter();
    let member = members.find(|member| member.name() == container.name)?;
    let mut settings = member.secrets.keys();
    settings
        .find(|setting| member.component.variable(setting) == variable)
        .cloned()
}

/// The action and the resource of a `valueFrom`.
fn reading(assembly: &ResolvedAssembly, value_from: &str) -> (&'static str, String) {
    let parts: Vec<&str> = value_from.split(':').collect();
    match parts.get(2) {
        // Behind the name may come a key, a stage and a version, which are no part of the ARN.
        Some(&"secretsmanager") => (
            "secretsmanager:GetSecretValue",
            parts[..parts.len().min(7)].join(":"),
        ),
        Some(_) => ("ssm:GetParameters", value_from.to_owned()),
        // A bare name is a parameter of the task's own region.
        None => {
            let name = value_from.trim_start_matches('/');
            let resource = format!("parameter/{name}");
            ("ssm:GetParameters", assembly.account.arn("ssm", &resource))
        }
    }
}

/// The keys that the manifest names, for nothing else than reading those secrets.
fn keys(assembly: &ResolvedAssembly, secrets: &[Statement]) -> Option<Statement> {
    let keys = &assembly.manifest.file().secret_keys;
    if keys.is_empty() || secrets.is_empty() {
        return None;
    }

    let mut through: Vec<String> = secrets
        .iter()
        .flat_map(|statement| &statement.resources)
        .filter_map(|arn| {
            let mut parts = arn.split(':').skip(2);
            Some(format!("{}.{}.amazonaws.com", parts.next()?, parts.next()?))
        })
        .collect();

    through.sort();
    through.dedup();
    let mut who: Vec<&str> = secrets.iter().map(|one| one.component.as_str()).collect();
    who.dedup();

    Some(Statement {
        sid: "DecryptSecrets".to_owned(),
        actions: vec!["kms:Decrypt".to_owned()],
        resources: keys.clone(),
        condition: equals("kms:ViaService", through),
        component: who.join(", "),
        why: "the secrets are encrypted with a key of the account's own (`secret_keys`)".to_owned(),
    })
}

/// Files of variables in S3.
fn files(container: &ContainerDefinition) -> Vec<Statement> {
    let files = container.environment_files.iter().map(|file| &file.value);
    let objects: Vec<String> = files.cloned().collect();
    if objects.is_empty() {
        return Vec::new();
    }

    let bucket = |arn: &String| Some(arn.split('/').next()?.to_owned());
    let mut buckets: Vec<String> = objects.iter().filter_map(bucket).collect();
    buckets.dedup();

    let statement = |word: &str, action: &str, resources, why: &str| Statement {
        sid: format!("{word}{}", pascal(&container.name)),
        actions: vec![action.to_owned()],
        resources,
        component: container.name.clone(),
        why: why.to_owned(),
        ..Statement::default()
    };

    vec![
        statement(
            "ReadVariablesOf",
            "s3:GetObject",
            objects,
            "ECS reads the container's files of variables",
        ),
        statement(
            "FindVariablesOf",
            "s3:GetBucketLocation",
            buckets,
            "ECS asks where the bucket of those files is",
        ),
    ]
}

/// Resources and the containers that ask for them.
#[derive(Default)]
struct Asked(BTreeMap<String, Vec<String>>);

impl Asked {
    fn add(&mut self, resource: String, container: &str) {
        self.0
            .entry(resource)
            .or_default()
            .push(container.to_owned());
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn who(&self) -> String {
        let mut who: Vec<&str> = self.0.values().flatten().map(String::as_str).collect();
        who.sort_unstable();
        who.dedup();
        who.join(", ")
    }
}
