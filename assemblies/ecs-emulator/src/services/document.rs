//! A service as the API returns it.

use serde_json::{Map, Value, json};

use super::settings::{platform, role_arn};
use super::{Key, Known, Service, deployments, messages};
use crate::arn::Owner;
use crate::clusters;
use crate::state::State;
use crate::sts::caller_arn;
use crate::time::seconds;

/// Returns a service with its tags, or null.
pub(super) fn with_tags(state: &State, key: &Key) -> Value {
    let Some(service) = state.services.by_key.get(key) else {
        return Value::Null;
    };
    let mut document = to_json(service, &state.owner);
    // ECS omits an empty list here.
    if !service.tags.is_empty() {
        document["tags"] = json!(service.tags);
    }
    document
}

/// Returns a service, or null.
pub(super) fn without_tags(state: &State, key: &Key) -> Value {
    let service = state.services.by_key.get(key);
    service.map_or(Value::Null, |service| to_json(service, &state.owner))
}

fn to_json(service: &Service, owner: &Owner) -> Value {
    let settings = &service.settings;
    let counts = service.count(|_| true);
    let primary = service
        .primary()
        .and_then(|number| service.revisions.get(&number));
    // As DescribeServices returns them.
    let newest_first = service.messages.iter().rev();

    let mut document = json!({
        "serviceArn": service.arn(owner),
        "serviceName": service.name,
        "clusterArn": clusters::arn(owner, &service.cluster),
        "loadBalancers": list(settings.get("loadBalancers")),
        "serviceRegistries": list(settings.get("serviceRegistries")),
        "status": service.status.as_str(),
        "desiredCount": service.scheduler.desired_count(),
        "runningCount": counts.running,
        "pendingCount": counts.pending,
        "taskDefinition": primary.map(|revision| revision.definition_arn.as_str()),
        "deploymentConfiguration": settings.deployment_configuration(),
        "deployments": deployments::to_json(service, owner),
        "roleArn": role_arn(owner),
        "events": newest_first.map(messages::Message::to_json).collect::<Vec<_>>(),
        "createdAt": seconds(service.created),
        "placementConstraints": [],
        "placementStrategy": [],
        "schedulingStrategy": "REPLICA",
        "deploymentController": { "type": "ECS" },
        "createdBy": caller_arn(owner),
        "enableECSManagedTags": settings.input.enable_ecs_managed_tags.unwrap_or(false),
        "propagateTags": settings.get("propagateTags").as_str().unwrap_or("NONE"),
        "enableExecuteCommand": settings.input.enable_execute_command.unwrap_or(false),
        "availabilityZoneRebalancing":
            settings.get("availabilityZoneRebalancing").as_str().unwrap_or("ENABLED"),
        "resourceManagementType": "CUSTOMER",
    });

    let Some(fields) = document.as_object_mut() else {
        return document;
    };

    fields.extend(capacity(
        settings.get("launchType"),
        settings.get("capacityProviderStrategy"),
    ));

    for (name, value) in platform(settings) {
        fields.insert(name.to_owned(), value);
    }

    let network = settings.network_configuration();
    copy(fields, "networkConfiguration", &network);
    let grace = "healthCheckGracePeriodSeconds";
    copy(fields, grace, settings.get(grace));
    add_current(fields, service, owner);
    document
}

/// Adds the current deployment and the revisions that have tasks.
fn add_current(fields: &mut Map<String, Value>, service: &Service, owner: &Owner) {
    if let Some(last) = service.scheduler.deployments().next_back() {
        let arn = service.deployment_arn(last.number, owner);
        fields.insert("currentServiceDeployment".to_owned(), arn.into());
    }

    let used = service.revisions_in_use();
    let revisions = used.into_iter().map(|revision| {
        let counts = service.count(|own| own == revision);
        json!({
            "arn": service.revision_arn(revision, owner),
            "requestedTaskCount": service.requested_count(revision),
            "runningTaskCount": counts.running,
            "pendingTaskCount": counts.pending,
        })
    });

    fields.insert("currentServiceRevisions".to_owned(), revisions.collect());
}

/// Returns the launch type, or the strategy in place of it.
pub(super) fn capacity(launch_type: &Value, strategy: &Value) -> Vec<(String, Value)> {
    let strategy = strategy.as_array().filter(|items| !items.is_empty());
    let Some(items) = strategy else {
        let launch_type = launch_type.as_str().unwrap_or("FARGATE");
        return vec![("launchType".to_owned(), launch_type.into())];
    };

    // As ECS returns it, with the defaults.
    let items = items.iter().map(|item| {
        let number = |name: &str, default: u64| item[name].as_u64().unwrap_or(default);
        json!({
            "capacityProvider": item["capacityProvider"],
            "weight": number("weight", 1),
            "base": number("base", 0),
        })
    });
    vec![("capacityProviderStrategy".to_owned(), items.collect())]
}

/// Copies a value that is there.
pub(super) fn copy(fields: &mut Map<String, Value>, name: &str, value: &Value) {
    if !value.is_null() {
        fields.insert(name.to_owned(), value.clone());
    }
}

fn list(value: &Value) -> Value {
    if value.is_null() {
        json!([])
    } else {
        value.clone()
    }
}

/// Tasks that run, and tasks that are about to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TaskCounts {
    pub(super) running: u32,
    pub(super) pending: u32,
}

impl Service {
    /// Counts the tasks of the revisions that pass a test, without those that are being stopped.
    pub(super) fn count(&self, test: impl Fn(u64) -> bool) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for task in self.tasks.values().filter(|task| test(task.revision)) {
            match task.known {
                Known::Pending => counts.pending += 1,
                Known::Running | Known::Healthy | Known::Unhealthy => counts.running += 1,
                Known::Stopping => {}
            }
        }
        counts
    }

    /// Returns the stable revision, the one that is deployed, and those that have tasks: the newest first.
    pub(super) fn revisions_in_use(&self) -> Vec<u64> {
        let last = self.scheduler.deployments().next_back();
        let mut used: Vec<u64> = self.tasks.values().map(|task| task.revision).collect();
        used.extend(
            last.filter(|last| last.rollback.is_none())
                .map(|last| last.target),
        );

        used.extend(
            last.filter(|last| last.rollback.is_some())
                .and_then(|last| last.source),
        );

        used.sort_unstable();
        // Several tasks have the same revision.
        used.dedup();
        used.reverse();
        used
    }
}
