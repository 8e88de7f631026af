//! The statements of the execution role: pulling images, writing logs, reading secrets.
//!
//! They are derived from the final definition, so they cover `overrides:` and `patch:` too.

use std::collections::BTreeMap;

use task_definition::{ContainerDefinition, TaskDefinition};

use super::{Statement, equals, number_duplicates, pascal};
use crate::resolve::ResolvedAssembly;

/// Returns the statements, in the order in which ECS needs them.
pub(in crate::plan) fn statements(
    assembly: &ResolvedAssembly,
    definition: &TaskDefinition,
) -> Vec<Statement> {
    let containers = &definition.container_definitions;
    let mut statements = images(assembly, containers);
    statements.extend(logs(assembly, containers));

    // One statement per secret, so that each has its own reason.
    let mut secrets: Vec<Statement> = containers
        .iter()
        .flat_map(|container| secrets(assembly, container))
        .collect();

    secrets.extend(keys(assembly, &secrets));
    statements.extend(secrets);
    statements.extend(containers.iter().flat_map(files));
    number_duplicates(&mut statements);

    statements
}

/// Returns statements for pulling images from ECR; other registries need no permission.
fn images(assembly: &ResolvedAssembly, containers: &[ContainerDefinition]) -> Vec<Statement> {
    let mut repositories = Requests::default();
    for container in containers {
        if let Some(repository) = repository(assembly, &container.image) {
            repositories.add(repository, &container.name);
        }
    }

    if repositories.0.is_empty() {
        return Vec::new();
    }

    let component = repositories.containers();
    // The actions of AmazonECSTaskExecutionRolePolicy, here restricted to the repositories.
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
            component: component.clone(),
            why:
                "ECS logs in to ECR before it pulls; this action has no resource-level permissions"
                    .to_owned(),
            ..Statement::default()
        },
        Statement {
            sid: "PullImages".to_owned(),
            actions: pull.map(|action| format!("ecr:{action}")).to_vec(),
            resources: repositories.resources(),
            component,
            why: "ECS pulls the images of the containers".to_owned(),
            ..Statement::default()
        },
    ]
}

/// Returns the ARN of an image's ECR repository. ECR images are named
/// `ACCOUNT.dkr.ecr.REGION.amazonaws.com/name:tag`.
fn repository(assembly: &ResolvedAssembly, image: &str) -> Option<String> {
    // Account and region come from the image: it can be in another account's registry.
    let (host, path) = image.split_once('/')?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let name = path.split(['@', ':']).next()?;
    Some(format!(
        "arn:{}:ecr:{region}:{account}:repository/{name}",
        assembly.account.partition
    ))
}

/// Returns statements for writing to the containers' log groups, and for creating those that ECS creates.
fn logs(assembly: &ResolvedAssembly, containers: &[ContainerDefinition]) -> Vec<Statement> {
    let (mut write_groups, mut create_groups) = (Requests::default(), Requests::default());
    for container in containers {
        let logs = container.log_configuration.as_ref();
        let Some(logs) = logs.filter(|logs| logs.log_driver == "awslogs") else {
            continue;
        };
        let Some(group) = logs.options.get("awslogs-group") else {
            continue;
        };
        // `:*` covers the log streams of the group.
        let region = logs.options.get("awslogs-region");
        let arn = assembly
            .account
            .arn_in(region, "logs", &format!("log-group:{group}:*"));

        if logs
            .options
            .get("awslogs-create-group")
            .is_some_and(|value| value == "true")
        {
            create_groups.add(arn.clone(), &container.name);
        }
        write_groups.add(arn, &container.name);
    }

    let write = Statement {
        sid: "WriteLogs".to_owned(),
        actions: vec![
            "logs:CreateLogStream".to_owned(),
            "logs:PutLogEvents".to_owned(),
        ],
        resources: write_groups.resources(),
        component: write_groups.containers(),
        why: "ECS writes the containers' output to the log group".to_owned(),
        ..Statement::default()
    };

    let create = Statement {
        sid: "CreateLogGroup".to_owned(),
        actions: vec!["logs:CreateLogGroup".to_owned()],
        resources: create_groups.resources(),
        component: create_groups.containers(),
        why: "`awslogs-create-group` has ECS create the log group".to_owned(),
        ..Statement::default()
    };

    [write, create]
        .into_iter()
        .filter(|statement| !statement.resources.is_empty())
        .collect()
}

/// Returns statements for reading a container's secrets: variables, log driver options, registry login.
fn secrets(assembly: &ResolvedAssembly, container: &ContainerDefinition) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut read = |name: &str, value_from: &str, why: String| {
        let (action, resource) = read_action(assembly, value_from);
        statements.push(Statement {
            sid: format!("Read{}{}", pascal(&container.name), pascal(name)),
            actions: vec![action.to_owned()],
            resources: vec![resource],
            component: container.name.clone(),
            why,
            ..Statement::default()
        });
    };

    for secret in &container.secrets {
        // A declared setting gives a better name and reason than the variable.
        let (name, what) = match setting(assembly, container, &secret.name) {
            Some(setting) => {
                let what = format!("the secret setting `{setting}`");
                (setting, what)
            }
            None => (secret.name.to_lowercase(), format!("`{}`", secret.name)),
        };

        let why = format!("ECS puts {what} into the container's environment");
        read(&name, &secret.value_from, why);
    }

    let logs = container.log_configuration.as_ref();
    for secret in logs.map(|logs| &logs.secret_options).into_iter().flatten() {
        let why = format!("ECS passes the option `{}` to the log driver", secret.name);
        read(&secret.name, &secret.value_from, why);
    }

    if let Some(credentials) = &container.repository_credentials {
        let why = "ECS logs in to the image's registry".to_owned();
        read("registry", &credentials.credentials_parameter, why);
    }

    statements
}

/// Returns the secret setting of a container's variable.
fn setting(
    assembly: &ResolvedAssembly,
    container: &ContainerDefinition,
    variable: &str,
) -> Option<String> {
    let mut members = assembly.members.iter();
    let member = members.find(|member| member.name() == container.name)?;
    // The definition has variables; the manifest has settings, which users know better.
    let mut settings = member.secrets.keys();
    settings
        .find(|setting| member.component.variable(setting) == variable)
        .cloned()
}

/// Returns the action and the resource of a `valueFrom`.
fn read_action(assembly: &ResolvedAssembly, value_from: &str) -> (&'static str, String) {
    let parts: Vec<&str> = value_from.split(':').collect();
    match parts.get(2) {
        // `valueFrom` can append JSON key, version stage and version id to the ARN's seven fields.
        Some(&"secretsmanager") => (
            "secretsmanager:GetSecretValue",
            parts[..parts.len().min(7)].join(":"),
        ),
        Some(_) => ("ssm:GetParameters", value_from.to_owned()),
        // A name alone is a parameter in the task's region.
        None => {
            let name = value_from.trim_start_matches('/');
            let resource = format!("parameter/{name}");
            ("ssm:GetParameters", assembly.account.arn("ssm", &resource))
        }
    }
}

/// Returns the statement for decrypting the secrets with the manifest's KMS keys, and for no other use.
fn keys(assembly: &ResolvedAssembly, secrets: &[Statement]) -> Option<Statement> {
    let keys = &assembly.manifest.file().secret_keys;
    if keys.is_empty() || secrets.is_empty() {
        return None;
    }

    // `kms:ViaService` restricts decryption to the services and regions that the secrets are read from.
    let mut via_services: Vec<String> = secrets
        .iter()
        .flat_map(|statement| &statement.resources)
        .filter_map(|arn| {
            let mut parts = arn.split(':').skip(2);
            Some(format!("{}.{}.amazonaws.com", parts.next()?, parts.next()?))
        })
        .collect();

    via_services.sort();
    via_services.dedup();
    let mut components: Vec<&str> = secrets
        .iter()
        .map(|statement| statement.component.as_str())
        .collect();
    components.dedup();

    Some(Statement {
        sid: "DecryptSecrets".to_owned(),
        actions: vec!["kms:Decrypt".to_owned()],
        resources: keys.clone(),
        condition: equals("kms:ViaService", via_services),
        component: components.join(", "),
        why: "the secrets are encrypted with a customer managed key (`secret_keys`)".to_owned(),
    })
}

/// Returns statements for reading a container's environment files from S3.
fn files(container: &ContainerDefinition) -> Vec<Statement> {
    let files = container.environment_files.iter().map(|file| &file.value);
    let objects: Vec<String> = files.cloned().collect();
    if objects.is_empty() {
        return Vec::new();
    }

    // The ARN of an object is the bucket's, a slash and the key.
    let bucket = |arn: &String| Some(arn.split('/').next()?.to_owned());
    let mut buckets: Vec<String> = objects.iter().filter_map(bucket).collect();
    buckets.dedup();

    let statement = |sid: &str, action: &str, resources, why: &str| Statement {
        sid: format!("{sid}{}", pascal(&container.name)),
        actions: vec![action.to_owned()],
        resources,
        component: container.name.clone(),
        why: why.to_owned(),
        ..Statement::default()
    };

    vec![
        statement(
            "ReadEnvironmentFilesOf",
            "s3:GetObject",
            objects,
            "ECS reads the container's environment files",
        ),
        statement(
            "LocateEnvironmentFilesOf",
            "s3:GetBucketLocation",
            buckets,
            "ECS looks up the region of the bucket",
        ),
    ]
}

/// Resources, each with the containers that need it.
#[derive(Default)]
struct Requests(BTreeMap<String, Vec<String>>);

impl Requests {
    fn add(&mut self, resource: String, container: &str) {
        self.0
            .entry(resource)
            .or_default()
            .push(container.to_owned());
    }

    fn resources(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn containers(&self) -> String {
        let mut containers: Vec<&str> = self.0.values().flatten().map(String::as_str).collect();
        containers.sort_unstable();
        containers.dedup();
        containers.join(", ")
    }
}
