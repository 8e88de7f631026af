//! The entries of `deployments` of a service: one for each revision that has tasks.

use serde_json::{Value, json};

use super::document::{capacity, copy};
use super::settings::platform;
use super::{Revision, Service, from_time};
use crate::arn::Owner;
use crate::deployment::{Deployment, Status};
use crate::time::seconds;

/// Returns the entries, the PRIMARY one first.
pub(super) fn to_json(service: &Service, _: &Owner) -> Value {
    let mut revisions = service.revisions_in_use();
    let primary = service.primary();
    // A stable sort: the others stay in their order, the newest first.
    revisions.sort_by_key(|revision| Some(*revision) != primary);
    let entries = revisions.into_iter().filter_map(|number| {
        let revision = service.revisions.get(&number)?;
        Some(entry(service, number, revision, Some(number) == primary))
    });
    entries.collect()
}

fn entry(service: &Service, number: u64, revision: &Revision, is_primary: bool) -> Value {
    let counts = service.count(|own| own == number);
    let all = service.scheduler.deployments().rev();
    let deployment = all
        .into_iter()
        .find(|deployment| deployment.target == number);
    let (state, reason) = rollout(service, number, revision, deployment);
    let failed = deployment.map_or(0, |deployment| deployment.breaker.failures());
    // Without its deployment, which may be forgotten, the revision was last changed when it was created.
    let updated = deployment.map_or(revision.created, |deployment| {
        from_time(deployment.updated_at)
    });

    let mut entry = json!({
        "id": revision.deployment_id,
        "status": if is_primary { "PRIMARY" } else { "ACTIVE" },
        "taskDefinition": revision.definition_arn,
        "desiredCount": service.requested_count(number),
        "pendingCount": counts.pending,
        "runningCount": counts.running,
        "failedTasks": failed,
        "createdAt": seconds(revision.created),
        "updatedAt": seconds(updated),
        "rolloutState": state,
        "rolloutStateReason": reason,
    });

    let settings = &revision.settings;
    if let Some(fields) = entry.as_object_mut() {
        fields.extend(capacity(
            settings.get("launchType"),
            settings.get("capacityProviderStrategy"),
        ));
        fields.extend(platform(settings).map(|(name, value)| (name.to_owned(), value)));
        // Service's deployments have the version that LATEST is.
        if fields["platformVersion"] == "LATEST" {
            fields.insert("platformVersion".to_owned(), PLATFORM_VERSION.into());
        }
        copy(
            fields,
            "networkConfiguration",
            &settings.network_configuration(),
        );
        for name in ["serviceConnectConfiguration", "volumeConfigurations"] {
            copy(fields, name, settings.get(name));
        }
    }

    entry
}

/// Returns `rolloutState` and its reason.
fn rollout(
    service: &Service,
    number: u64,
    revision: &Revision,
    deployment: Option<&Deployment>,
) -> (&'static str, String) {
    let id = &revision.deployment_id;
    let last = service.scheduler.deployments().next_back();
    let rollback = last
        .filter(|last| last.status == Status::RollbackInProgress)
        .and_then(|last| last.rollback.as_ref());
    if let Some(rollback) = rollback.filter(|rollback| rollback.revision == number) {
        let cause = rollback
            .reason
            .split_once(": ")
            .map_or("ECS deployment", |(cause, _)| cause);
        return (
            "IN_PROGRESS",
            format!("{cause}: rolling back to deploymentId {id}."),
        );
    }

    match deployment.map(|deployment| deployment.status) {
        Some(Status::InProgress) => ("IN_PROGRESS", format!("ECS deployment {id} in progress.")),
        // Forgotten deployments are older than any that failed and still has tasks.
        None | Some(Status::Successful) => ("COMPLETED", format!("ECS deployment {id} completed.")),
        Some(_) => {
            let reason = deployment.and_then(|deployment| deployment.reason.clone());
            ("FAILED", reason.unwrap_or_default())
        }
    }
}

impl Service {
    /// Returns the revision that the service moves to, or has.
    pub(super) fn primary(&self) -> Option<u64> {
        let last = self.scheduler.deployments().next_back()?;
        if last.rollback.is_some() {
            last.source
        } else {
            Some(last.target)
        }
    }

    /// Returns how many tasks a revision should have.
    pub(super) fn requested_count(&self, revision: u64) -> u32 {
        let Some(last) = self.scheduler.deployments().next_back() else {
            return 0;
        };
        let is_source = last.source == Some(revision);
        // Blue/green keeps both revisions at full size; rolling moves from one to the other.
        let wants_source = match last.status {
            Status::InProgress | Status::Stopped => last.config.keeps_source(),
            Status::RollbackInProgress | Status::RollbackSuccessful => true,
            _ => false,
        };
        let wants = Some(revision) == self.primary() || (is_source && wants_source);
        if wants {
            self.scheduler.desired_count()
        } else {
            0
        }
    }
}

/// The version that LATEST is on Fargate for Linux.
pub(super) const PLATFORM_VERSION: &str = "1.4.0";
