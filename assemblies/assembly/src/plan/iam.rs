//! What the two roles of a task may do, each statement with its reason.
//!
//! The execution role is ECS's own: it pulls images, reads secrets, writes logs. The task role is the
//! programs'.

use task_definition::Finding;

use crate::component::{Component, Permission};
use crate::manifest::{Manifest, OnDemand};
use crate::resolve::{Account, Cast, Member};
use crate::rules;
use crate::values::{Values, fill};

/// A statement of a policy and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The id, unique in its policy.
    pub sid: String,
    /// The actions.
    pub actions: Vec<String>,
    /// The resources.
    pub resources: Vec<String>,
    /// Who needs it.
    pub component: String,
    /// What for.
    pub why: String,
}

/// The statements of both roles.
#[derive(Debug, Clone)]
pub(super) struct Statements {
    pub(super) execution_role: Vec<Statement>,
    pub(super) task_role: Vec<Statement>,
}

/// Works them out from images, logs, secrets and what components declare.
pub(super) fn statements(cast: &Cast) -> Result<Statements, Vec<Finding>> {
    let mut execution_role = images(cast);
    execution_role.push(logs(cast));
    execution_role.extend(cast.members.iter().flat_map(|member| secrets(cast, member)));
    let mut findings = Vec::new();
    let mut task_role = Vec::new();
    for member in &cast.members {
        let on_demand = cast.manifest.file().on_demand.is_some();
        let permissions = member.component.file().permissions.iter();
        // What is about the trigger is of no use where there is none.
        for permission in permissions.filter(|one| on_demand || !is_about_trigger(one)) {
            match granted(member, permission, &cast.manifest, &cast.values) {
                Ok(statement) => task_role.push(statement),
                Err(unknown) => findings.extend(unknown.iter().map(|unknown| {
                    rules::m19::unknown(member.place.clone(), member.name(), unknown)
                })),
            }
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    number_twins(&mut execution_role);
    number_twins(&mut task_role);
    Ok(Statements {
        execution_role,
        task_role,
    })
}

fn is_about_trigger(permission: &Permission) -> bool {
    permission
        .resources
        .iter()
        .any(|resource| resource.contains("${on_demand."))
}

/// The name of a role of an assembly.
pub(crate) fn role_name(name: &str, role: &str) -> String {
    format!("{name}-{role}")
}

/// The ARN of a role of an assembly.
pub(super) fn role_arn(account: &Account, name: &str, role: &str) -> String {
    let Account { id, partition, .. } = account;
    format!("arn:{partition}:iam::{id}:role/{}", role_name(name, role))
}

/// Pulling images that are kept in ECR; others need no rights.
fn images(cast: &Cast) -> Vec<Statement> {
    let mut repositories: Vec<String> = cast
        .members
        .iter()
        .filter_map(|member| repository(cast, &member.image))
        .collect();
    repositories.sort();
    repositories.dedup();
    if repositories.is_empty() {
        return Vec::new();
    }
    vec![
        Statement {
            sid: "LogInToRegistry".to_owned(),
            actions: vec!["ecr:GetAuthorizationToken".to_owned()],
            resources: vec!["*".to_owned()],
            component: "all".to_owned(),
            why: "ECS logs in to ECR before it pulls; this action knows no resource".to_owned(),
        },
        Statement {
            sid: "PullImages".to_owned(),
            actions: [
                "BatchCheckLayerAvailability",
                "BatchGetImage",
                "GetDownloadUrlForLayer",
            ]
            .map(|action| format!("ecr:{action}"))
            .to_vec(),
            resources: repositories,
            component: "all".to_owned(),
            why: "ECS pulls the images of the containers".to_owned(),
        },
    ]
}

/// The ARN of the repository of an image in ECR: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/name:tag`.
fn repository(cast: &Cast, image: &str) -> Option<String> {
    let (host, path) = image.split_once('/')?;
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest.split('.').next()?;
    let name = path.split(['@', ':']).next()?;
    Some(format!(
        "arn:{}:ecr:{region}:{account}:repository/{name}",
        cast.account.partition
    ))
}

fn logs(cast: &Cast) -> Statement {
    let Account {
        id,
        region,
        partition,
    } = &cast.account;
    let name = &cast.manifest.file().name;
    Statement {
        sid: "WriteLogs".to_owned(),
        actions: vec![
            "logs:CreateLogStream".to_owned(),
            "logs:PutLogEvents".to_owned(),
        ],
        resources: vec![format!(
            "arn:{partition}:logs:{region}:{id}:log-group:/ecs/{name}:*"
        )],
        component: "all".to_owned(),
        why: "ECS writes what the containers print into the log group".to_owned(),
    }
}

fn secrets(cast: &Cast, member: &Member) -> Vec<Statement> {
    let secrets = member.secrets.iter().map(|(setting, secret)| {
        let (action, resource) = reading(cast, &secret.value_from);
        Statement {
            sid: format!("Read{}{}", pascal(member.name()), pascal(setting)),
            actions: vec![action.to_owned()],
            resources: vec![resource],
            component: member.name().to_owned(),
            why: format!(
                "ECS puts the secret setting `{setting}` into the container's environment"
            ),
        }
    });
    secrets.collect()
}

/// The action and the resource of a `valueFrom`.
fn reading(cast: &Cast, value_from: &str) -> (&'static str, String) {
    let parts: Vec<&str> = value_from.split(':').collect();
    match parts.get(2) {
        // Behind the name may come a key, a stage and a version, which are no part of the ARN.
        Some(&"secretsmanager") => (
            "secretsmanager:GetSecretValue",
            parts[..parts.len().min(7)].join(":"),
        ),
        Some(_) => ("ssm:GetParameters", value_from.to_owned()),
        None => {
            let Account {
                id,
                region,
                partition,
            } = &cast.account;
            let name = value_from.trim_start_matches('/');
            (
                "ssm:GetParameters",
                format!("arn:{partition}:ssm:{region}:{id}:parameter/{name}"),
            )
        }
    }
}

/// A permission with its resources filled, or what is not known.
fn granted(
    member: &Member,
    permission: &Permission,
    manifest: &Manifest,
    values: &Values,
) -> Result<Statement, Vec<String>> {
    let known = |name: &str| match name.split_once('.') {
        Some(("settings", setting)) => setting_text(member, setting),
        Some(("on_demand", field)) => trigger(manifest.file().on_demand.as_ref()?, field),
        None if name == "assembly" => Some(manifest.file().name.clone()),
        _ => values.get(name).map(str::to_owned),
    };
    let filled: Result<Vec<String>, Vec<String>> = permission
        .resources
        .iter()
        .map(|resource| fill(resource, known))
        .collect();
    Ok(Statement {
        sid: permission
            .sid
            .clone()
            .unwrap_or_else(|| sid(&member.component, permission)),
        actions: permission.actions.clone(),
        resources: filled?,
        component: member.name().to_owned(),
        why: permission.why.clone(),
    })
}

/// What the user set, or else the component's default, if it says anything.
fn setting_text(member: &Member, setting: &str) -> Option<String> {
    if let Some(given) = member.settings.get(setting) {
        return Some(given.text.clone());
    }
    let declared = member.component.file().settings.get(setting)?;
    let text = declared.kind.text(declared.default.as_ref()?)?;
    (!text.is_empty()).then_some(text)
}

fn trigger(on_demand: &OnDemand, field: &str) -> Option<String> {
    match field {
        "bucket" => Some(on_demand.bucket.clone()),
        "prefix" => Some(on_demand.prefix.clone().unwrap_or_default()),
        "suffix" => Some(on_demand.suffix.clone().unwrap_or_default()),
        // Results beside the input, where no other bucket is named.
        "output_bucket" => Some(
            on_demand
                .output_bucket
                .clone()
                .unwrap_or_else(|| on_demand.bucket.clone()),
        ),
        _ => None,
    }
}

/// `ThumbnailS3GetObject`.
fn sid(component: &Component, permission: &Permission) -> String {
    let actions = permission.actions.iter().map(|action| pascal(action));
    pascal(component.name()) + &actions.collect::<String>()
}

/// Letters and digits only, a capital at every beginning: all that a Sid may hold.
fn pascal(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter_map(|word| {
        let mut letters = word.chars();
        Some(letters.next()?.to_ascii_uppercase().to_string() + letters.as_str())
    });
    words.collect()
}

/// Sids are unique in a policy.
fn number_twins(statements: &mut [Statement]) {
    for index in 1..statements.len() {
        let (before, rest) = statements.split_at_mut(index);
        let plain = rest[0].sid.clone();
        let mut number = 2;
        while before.iter().any(|statement| statement.sid == rest[0].sid) {
            rest[0].sid = format!("{plain}{number}");
            number += 1;
        }
    }
}
