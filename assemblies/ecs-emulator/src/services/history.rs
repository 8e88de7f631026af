//! Service deployments and service revisions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{capacity, copy};
use super::settings::platform;
use super::{Revision, Service, from_time};
use crate::api_error::ApiError;
use crate::arn::Owner;
use crate::clusters;
use crate::deployment::{Deployment, HookState, Status, Time};
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;
use crate::time::seconds;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeServiceDeployments {
    service_deployment_arns: Vec<String>,
}

/// `DescribeServiceDeployments`.
pub(crate) fn describe_deployments(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeServiceDeployments = call.read()?;
    check_count(&input.service_deployment_arns, "serviceDeploymentArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in &input.service_deployment_arns {
        match state.find_deployment(arn) {
            Some((service, deployment)) => {
                found.push(deployment_json(service, deployment, &state.owner));
            }
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "serviceDeployments": found, "failures": failures }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListServiceDeployments {
    service: String,
    cluster: Option<String>,
    #[serde(default)]
    status: Vec<String>,
    created_at: Option<CreatedAt>,
    next_token: Option<String>,
    max_results: Option<i64>,
}

/// Seconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreatedAt {
    before: Option<f64>,
    after: Option<f64>,
}

/// `ListServiceDeployments`, the newest first.
pub(crate) fn list_deployments(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListServiceDeployments = call.read()?;
    // An unknown status would match nothing, and hide a misspelling.
    for status in &input.status {
        if !Status::ALL.iter().any(|known| known.as_str() == status) {
            let message = format!("Invalid service deployment status: {status}");
            return Err(ApiError::invalid_parameter(message));
        }
    }

    let key = state.find_service(input.cluster.as_deref(), &input.service)?;
    let Some(service) = state.services.by_key.get(&key) else {
        return Err(ApiError::new(
            "ServiceNotFoundException",
            "Service not found.",
        ));
    };

    let is_listed = |deployment: &&Deployment| {
        let status = deployment.status.as_str();
        let created = deployment.created_at.as_secs_f64();
        let range = input.created_at.as_ref();
        let is_after = range
            .and_then(|range| range.after)
            .is_none_or(|after| created > after);
        let is_before = range
            .and_then(|range| range.before)
            .is_none_or(|before| created < before);
        let is_wanted = input.status.is_empty() || input.status.iter().any(|own| own == status);
        is_wanted && is_after && is_before
    };

    let newest_first = service.scheduler.deployments().rev().filter(is_listed);
    let items = newest_first.map(|deployment| {
        // Sorts as the number does.
        let key = format!("{:020}", deployment.number);
        let mut brief = brief_json(service, deployment, &state.owner);
        // Only here: DescribeServiceDeployments has the counts of the revision too, in another member.
        brief["targetServiceRevisionArn"] =
            service.revision_arn(deployment.target, &state.owner).into();
        (key, brief)
    });

    let request = PageRequest {
        max_results: input.max_results.or(Some(DEFAULT_PAGE)),
        next_token: input.next_token.as_deref(),
        order: Order::Descending,
    };

    Ok(request.cut(items)?.to_json("serviceDeployments"))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeServiceRevisions {
    service_revision_arns: Vec<String>,
}

/// `DescribeServiceRevisions`.
pub(crate) fn describe_revisions(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeServiceRevisions = call.read()?;
    check_count(&input.service_revision_arns, "serviceRevisionArns")?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in &input.service_revision_arns {
        let revision = state.services.iter().find_map(|service| {
            let mut numbers = service.revisions.iter();
            let (number, revision) =
                numbers.find(|(number, _)| service.revision_arn(**number, &state.owner) == *arn)?;
            Some((service, *number, revision))
        });
        match revision {
            Some((service, number, revision)) => {
                found.push(revision_json(service, number, revision, &state.owner));
            }
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }

    Ok(json!({ "serviceRevisions": found, "failures": failures }))
}

fn check_count(items: &[String], name: &str) -> Result<(), ApiError> {
    if (1..=20).contains(&items.len()) {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(format!(
        "{name} must have between 1 and 20 items"
    )))
}

impl State {
    /// Finds a service deployment by its ARN.
    pub(super) fn find_deployment(&self, arn: &str) -> Option<(&Service, &Deployment)> {
        self.services.iter().find_map(|service| {
            let mut all = service.scheduler.deployments();
            let is_named = |deployment: &&Deployment| {
                service.deployment_arn(deployment.number, &self.owner) == arn
            };
            Some((service, all.find(is_named)?))
        })
    }
}

/// Returns what the list and the description of a deployment have in common.
fn brief_json(service: &Service, deployment: &Deployment, owner: &Owner) -> Value {
    let mut brief = json!({
        "serviceDeploymentArn": service.deployment_arn(deployment.number, owner),
        "serviceArn": service.arn(owner),
        "clusterArn": clusters::arn(owner, &service.cluster),
        "startedAt": time(deployment.created_at),
        "createdAt": time(deployment.created_at),
        "status": deployment.status.as_str(),
    });

    if let Some(finished) = deployment.finished_at {
        brief["finishedAt"] = time(finished);
    }

    if let Some(reason) = &deployment.reason {
        brief["statusReason"] = reason.as_str().into();
    }

    brief
}

fn deployment_json(service: &Service, deployment: &Deployment, owner: &Owner) -> Value {
    let has_ended = deployment.status.is_final();
    // Only the last deployment can still want tasks.
    let is_last = service
        .scheduler
        .deployments()
        .next_back()
        .map(|last| last.number)
        == Some(deployment.number);
    let summary = |revision: u64, production: f64, test: f64| {
        summary_json(service, revision, is_last, (production, test), owner)
    };

    let (production, test) = (deployment.production_weight, deployment.test_weight);
    let sources = deployment
        .source
        .iter()
        .map(|source| summary(*source, 100.0 - production, 100.0 - test));

    let mut document = brief_json(service, deployment, owner);
    document["updatedAt"] = time(deployment.updated_at);
    document["sourceServiceRevisions"] = sources.collect();
    document["targetServiceRevision"] = summary(deployment.target, production, test);
    document["lifecycleStage"] = deployment.stage.api_name().into();
    document["lifecycleHookDetails"] = deployment
        .hooks
        .iter()
        .map(|hook| hook_json(service, deployment, hook))
        .collect();
    // Of its revision: the service may have another by now.
    document["deploymentConfiguration"] = service
        .revisions
        .get(&deployment.target)
        .map_or(Value::Null, |revision| {
            revision.settings.deployment_configuration()
        });
    document["deploymentCircuitBreaker"] = json!({
        "status": deployment.breaker.status(has_ended),
        "failureCount": deployment.breaker.failures(),
        "threshold": deployment.breaker.threshold(service.scheduler.desired_count()),
    });

    document["alarms"] = alarms_json(deployment, has_ended);

    if let Some(stopped) = deployment.stopped_at {
        document["stoppedAt"] = time(stopped);
    }

    if let Some(rollback) = &deployment.rollback {
        document["rollback"] = json!({
            "reason": rollback.reason,
            "startedAt": time(rollback.started_at),
            "serviceRevisionArn": service.revision_arn(rollback.revision, owner),
        });
    }

    document
}

fn summary_json(
    service: &Service,
    revision: u64,
    is_last: bool,
    (production, test): (f64, f64),
    owner: &Owner,
) -> Value {
    let counts = service.count(|own| own == revision);
    json!({
        "arn": service.revision_arn(revision, owner),
        "requestedTaskCount": if is_last { service.requested_count(revision) } else { 0 },
        "runningTaskCount": counts.running,
        "pendingTaskCount": counts.pending,
        "requestedTestTrafficWeight": test,
        "requestedProductionTrafficWeight": production,
    })
}

/// Returns the id of a hook, which ContinueServiceDeployment takes.
pub(super) fn hook_id(service: &Service, deployment: &Deployment, hook: &HookState) -> String {
    let id = service
        .deployment_ids
        .get(&deployment.number)
        .map_or("", String::as_str);
    format!("{id}-{}", hook.number)
}

fn hook_json(service: &Service, deployment: &Deployment, hook: &HookState) -> Value {
    let mut document = json!({
        "hookId": hook_id(service, deployment, hook),
        "targetType": if hook.function.is_some() { "AWS_LAMBDA" } else { "PAUSE" },
        "status": hook.status.as_str(),
        "expiresAt": time(hook.expires_at),
        "timeoutAction": hook.timeout_action.as_str(),
    });
    if let Some(function) = &hook.function {
        document["targetArn"] = function.as_str().into();
    }
    document
}

fn alarms_json(deployment: &Deployment, has_ended: bool) -> Value {
    let alarms = &deployment.config.alarms;
    let status = if !alarms.is_enabled {
        "DISABLED"
    } else if !deployment.triggered_alarms.is_empty() {
        "TRIGGERED"
    } else if has_ended {
        "MONITORING_COMPLETE"
    } else {
        "MONITORING"
    };

    json!({
        "status": status,
        "alarmNames": alarms.names,
        "triggeredAlarmNames": deployment.triggered_alarms,
    })
}

fn revision_json(service: &Service, number: u64, revision: &Revision, owner: &Owner) -> Value {
    let settings = &revision.settings;
    let images = revision
        .definition
        .container_definitions
        .iter()
        .map(|container| {
            let mut image = json!({ "containerName": container.name, "image": container.image });
            // The digest of a tag is unknown: images are not pulled before tasks start.
            if let Some((_, digest)) = container.image.split_once('@') {
                image["imageDigest"] = digest.into();
            }
            image
        });

    let mut document = json!({
        "serviceRevisionArn": service.revision_arn(number, owner),
        "serviceArn": service.arn(owner),
        "clusterArn": clusters::arn(owner, &service.cluster),
        "taskDefinition": revision.definition_arn,
        "containerImages": images.collect::<Vec<_>>(),
        "guardDutyEnabled": false,
        "createdAt": seconds(revision.created),
    });

    if let Some(fields) = document.as_object_mut() {
        fields.extend(settings.revision_fields());
        fields.extend(capacity(
            settings.get("launchType"),
            settings.get("capacityProviderStrategy"),
        ));
        fields.extend(platform(settings).map(|(name, value)| (name.to_owned(), value)));
        if fields["platformVersion"] == "LATEST" {
            let version = super::deployments::PLATFORM_VERSION;
            fields.insert("platformVersion".to_owned(), version.into());
        }
        copy(
            fields,
            "resolvedConfiguration",
            &resolved_configuration(settings.get("loadBalancers")),
        );
    }

    document
}

/// Returns the target groups, and the listener rules in front of them.
fn resolved_configuration(balancers: &Value) -> Value {
    let balancers = balancers.as_array().into_iter().flatten();
    let groups: Vec<Value> = balancers
        .map(|balancer| {
            let mut group = json!({ "targetGroupArn": balancer["targetGroupArn"] });
            let rule = &balancer["advancedConfiguration"]["productionListenerRule"];
            if !rule.is_null() {
                group["productionListenerRule"] = rule.clone();
            }
            group
        })
        .collect();
    if groups.is_empty() {
        Value::Null
    } else {
        json!({ "loadBalancers": groups })
    }
}

fn time(time: Time) -> Value {
    seconds(from_time(time)).into()
}

/// The page size of ListServiceDeployments without `maxResults`.
const DEFAULT_PAGE: i64 = 20;
