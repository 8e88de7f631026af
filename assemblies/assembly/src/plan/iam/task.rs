//! What the programs of a task may do: what their components declare, and what the manifest asks for.

use serde_json::{Map, Value};
use task_definition::Finding;

use super::{Statement, equals, number_twins, pascal, wildcards};
use crate::component::{Component, Permission};
use crate::manifest::{Manifest, OnDemand};
use crate::resolve::{AssemblyMember, ResolvedAssembly};
use crate::rules;
use crate::values::{Values, interpolate};

/// The statements, and what is accepted and wider than it need be.
pub(in crate::plan) fn statements(
    assembly: &ResolvedAssembly,
) -> Result<(Vec<Statement>, Vec<Finding>), Vec<Finding>> {
    let (mut statements, mut findings, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let on_demand = assembly.manifest.file().on_demand.is_some();
    for member in &assembly.members {
        let permissions = member.component.file().permissions.iter().enumerate();
        // What is about the trigger is of no use where there is none.
        for (index, permission) in
            permissions.filter(|(_, one)| on_demand || !is_about_trigger(one))
        {
            match granted(member, permission, &assembly.manifest, &assembly.values) {
                Ok(statement) => {
                    warnings.extend(wildcards::check(&member.component, index, &statement));
                    statements.push(statement);
                }
                Err(unknown) => findings.extend(unknown.iter().map(|unknown| {
                    rules::m19_unresolved_permission::unresolved(
                        member.place.clone(),
                        member.name(),
                        unknown,
                    )
                })),
            }
        }
    }

    if !findings.is_empty() {
        return Err(findings);
    }
    statements.extend(mounts(assembly));

    let service = assembly.manifest.file().service.as_ref();
    if service.is_some_and(|service| service.exec) {
        statements.push(exec());
    }

    number_twins(&mut statements);
    Ok((statements, warnings))
}

/// File systems that a patch brings in and that ask who mounts them.
fn mounts(assembly: &ResolvedAssembly) -> Vec<Statement> {
    let patch = assembly.manifest.file().patch.as_ref();
    let volumes = patch.and_then(|patch| patch.get("volumes")?.as_array());
    let volumes = volumes.into_iter().flatten();
    volumes
        .filter_map(|volume| mount(assembly, volume))
        .collect()
}

fn mount(assembly: &ResolvedAssembly, volume: &Value) -> Option<Statement> {
    let efs = volume.get("efsVolumeConfiguration")?;
    let authorization = efs.get("authorizationConfig")?;
    if authorization.get("iam")? != "ENABLED" {
        return None;
    }

    let arn = |kind: &str, id: &str| {
        assembly
            .account
            .arn("elasticfilesystem", &format!("{kind}/{id}"))
    };
    let name = volume.get("name")?.as_str()?;
    let point = authorization.get("accessPointId").and_then(Value::as_str);
    let actions = ["ClientMount", "ClientWrite"];

    Some(Statement {
        sid: format!("Mount{}", pascal(name)),
        actions: actions
            .map(|action| format!("elasticfilesystem:{action}"))
            .to_vec(),
        resources: vec![arn("file-system", efs.get("fileSystemId")?.as_str()?)],
        condition: point.map_or_else(Map::new, |id| {
            equals("elasticfilesystem:AccessPointArn", arn("access-point", id))
        }),
        component: "patch".to_owned(),
        why: format!("mounts the file system `{name}`, which asks who does"),
    })
}

/// The agent that ECS puts into a container for `execute-command` speaks with the task role.
fn exec() -> Statement {
    let actions = [
        "CreateControlChannel",
        "CreateDataChannel",
        "OpenControlChannel",
        "OpenDataChannel",
    ];

    Statement {
        sid: "OpenShells".to_owned(),
        actions: actions
            .map(|action| format!("ssmmessages:{action}"))
            .to_vec(),
        resources: vec!["*".to_owned()],
        component: "all".to_owned(),
        why: "`exec: true` lets people open a shell in a container; these actions know no resource"
            .to_owned(),
        ..Statement::default()
    }
}

fn is_about_trigger(permission: &Permission) -> bool {
    permission
        .resources
        .iter()
        .any(|resource| resource.contains("${on_demand."))
}

/// A permission with its resources filled, or what is not known.
fn granted(
    member: &AssemblyMember,
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
        .map(|resource| interpolate(resource, known))
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
        ..Statement::default()
    })
}

/// What the user set, or else the component's default, if it says anything.
fn setting_text(member: &AssemblyMember, setting: &str) -> Option<String> {
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
