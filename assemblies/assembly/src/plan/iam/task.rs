//! The statements of the task role: the components' permissions, and those that the manifest implies.

use diagnostics::Finding;
use serde_json::{Map, Value};

use super::{Statement, equals, number_duplicates, pascal, wildcards};
use crate::component::{Component, Permission};
use crate::manifest::{Manifest, OnDemand};
use crate::resolve::{AssemblyMember, ResolvedAssembly};
use crate::rules;
use crate::values::{Values, interpolate};

/// Returns the statements, with warnings about wildcards, or the findings that prevent them.
pub(in crate::plan) fn statements(
    assembly: &ResolvedAssembly,
) -> Result<(Vec<Statement>, Vec<Finding>), Vec<Finding>> {
    let (mut statements, mut findings, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let on_demand = assembly.manifest.file().on_demand.is_some();
    for member in &assembly.members {
        let permissions = member.component.file().permissions.iter().enumerate();
        // A service has no trigger, so permissions for its bucket do not apply.
        for (index, permission) in
            permissions.filter(|(_, permission)| on_demand || !uses_trigger(permission))
        {
            match grant(member, permission, &assembly.manifest, &assembly.values) {
                Ok(statement) => {
                    warnings.extend(wildcards::check(&member.component, index, &statement));
                    statements.push(statement);
                }
                Err(unknown) => findings.extend(unknown.iter().map(|unknown| {
                    rules::m19_unresolved_permission::unresolved_reference(
                        member.location.clone(),
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

    number_duplicates(&mut statements);
    Ok((statements, warnings))
}

/// Returns statements for EFS volumes of the patch that use IAM authorization.
fn mounts(assembly: &ResolvedAssembly) -> Vec<Statement> {
    let patch = assembly.manifest.file().patch.as_ref();
    let volumes = patch.and_then(|patch| patch.get("volumes")?.as_array());
    volumes
        .into_iter()
        .flatten()
        .filter_map(|volume| mount(assembly, volume))
        .collect()
}

fn mount(assembly: &ResolvedAssembly, volume: &Value) -> Option<Statement> {
    let efs = volume.get("efsVolumeConfiguration")?;
    let authorization = efs.get("authorizationConfig")?;
    // Without IAM authorization EFS checks no identity, so the role needs no statement.
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
    // The actions that the SSM agent needs for ECS Exec.
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
        why: format!("mounts the file system `{name}`, which uses IAM authorization"),
    })
}

/// Returns the statement for ECS Exec: its SSM agent runs in the container and uses the task role.
fn exec() -> Statement {
    let actions = [
        "CreateControlChannel",
        "CreateDataChannel",
        "OpenControlChannel",
        "OpenDataChannel",
    ];

    Statement {
        sid: "ExecuteCommand".to_owned(),
        actions: actions
            .map(|action| format!("ssmmessages:{action}"))
            .to_vec(),
        resources: vec!["*".to_owned()],
        component: "all".to_owned(),
        why: "`exec: true` allows `aws ecs execute-command`; these actions have no resource-level permissions"
            .to_owned(),
        ..Statement::default()
    }
}

fn uses_trigger(permission: &Permission) -> bool {
    permission
        .resources
        .iter()
        .any(|resource| resource.contains("${on_demand."))
}

/// Returns the statement of a permission, or the names in its resources that have no value.
fn grant(
    member: &AssemblyMember,
    permission: &Permission,
    manifest: &Manifest,
    values: &Values,
) -> Result<Statement, Vec<String>> {
    let resolve = |name: &str| match name.split_once('.') {
        Some(("settings", setting)) => setting_value(member, setting),
        Some(("on_demand", field)) => trigger_field(manifest.file().on_demand.as_ref()?, field),
        None if name == "assembly" => Some(manifest.file().name.clone()),
        _ => values.get(name).map(str::to_owned),
    };

    // All unknown names of one resource are reported together.
    let resources: Result<Vec<String>, Vec<String>> = permission
        .resources
        .iter()
        .map(|resource| interpolate(resource, resolve))
        .collect();

    Ok(Statement {
        sid: permission
            .sid
            .clone()
            .unwrap_or_else(|| sid(&member.component, permission)),
        actions: permission.actions.clone(),
        resources: resources?,
        component: member.name().to_owned(),
        why: permission.why.clone(),
        ..Statement::default()
    })
}

/// Returns a setting's value, or else its default, unless that is empty.
fn setting_value(member: &AssemblyMember, setting: &str) -> Option<String> {
    if let Some(setting) = member.settings.get(setting) {
        return Some(setting.text.clone());
    }
    let declared = member.component.file().settings.get(setting)?;
    let text = declared.kind.text(declared.default.as_ref()?)?;
    (!text.is_empty()).then_some(text)
}

fn trigger_field(on_demand: &OnDemand, field: &str) -> Option<String> {
    match field {
        "bucket" => Some(on_demand.bucket.clone()),
        "prefix" => Some(on_demand.prefix.clone().unwrap_or_default()),
        "suffix" => Some(on_demand.suffix.clone().unwrap_or_default()),
        // Results go to the input bucket, unless the manifest names another.
        "output_bucket" => Some(
            on_demand
                .output_bucket
                .clone()
                .unwrap_or_else(|| on_demand.bucket.clone()),
        ),
        _ => None,
    }
}

/// Returns the Sid of a permission: `WebS3GetObject`.
fn sid(component: &Component, permission: &Permission) -> String {
    let actions = permission.actions.iter().map(|action| pascal(action));
    pascal(component.name()) + &actions.collect::<String>()
}
