//! Services: the desired number of tasks of a definition, kept running, and their deployments.
//!
//! ```text
//! CreateService, UpdateService ─▶ settings ─▶ a new revision ─▶ Event::Deploy ┐
//!                                 observe: changes of the tasks ─▶ events     ┼▶ deployment::step ─▶ actions
//!                                                                             ┘          │
//!                      State::launch, Route::drain, State::request_stop, events ◀─perform┘
//! ```
//!
//! | file | is |
//! |---|---|
//! | `settings` | the input of CreateService with all updates, and its checks |
//! | `create`, `update`, `delete`, `find` | the operations on services |
//! | `history` | service deployments and service revisions |
//! | `control` | StopServiceDeployment and ContinueServiceDeployment |
//! | `document`, `deployments` | a service and its deployments as the API returns them |
//! | `observe`, `perform` | finds changes of the tasks; starts and stops them |
//! | `ticker` | repeats both |
//! | `route`, `probe` | the listeners of a service, and health checks of its targets |
//! | `messages` | the events of a service |

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use task_definition::{Tag, TaskDefinition};

use crate::api_error::ApiError;
use crate::arn::{Owner, random_uuid};
use crate::clusters;
use crate::deployment::{Scheduler, Time};
use crate::state::State;

mod control;
mod create;
mod delete;
mod deployments;
mod document;
mod find;
mod history;
mod messages;
mod observe;
mod perform;
mod probe;
mod route;
mod settings;
#[cfg(test)]
mod tests;
mod ticker;
mod update;

pub(crate) use control::{continue_deployment, stop_deployment};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use find::{describe, list, list_by_namespace};
pub(crate) use history::{describe_deployments, describe_revisions, list_deployments};
pub(crate) use ticker::run;
pub(crate) use update::update;

use messages::Message;
use probe::Probe;
use route::Route;
use settings::Settings;

/// All services by cluster and name, those that are INACTIVE too.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_key: BTreeMap<Key, Service>,
}

/// The cluster and the name of a service.
pub(crate) type Key = (String, String);

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    cluster: String,
    name: String,
    status: Status,
    created: SystemTime,
    settings: Settings,
    pub(crate) tags: Vec<Tag>,
    /// The client token it was created with, and the request.
    token: Option<(String, Value)>,
    scheduler: Scheduler,
    revisions: BTreeMap<u64, Revision>,
    /// The ids of service deployments.
    deployment_ids: BTreeMap<u64, String>,
    /// Its tasks that have not stopped.
    tasks: BTreeMap<u64, ServiceTask>,
    /// The oldest first.
    messages: VecDeque<Message>,
    routes: Vec<Route>,
    /// The number of routes so far, which numbers them.
    route_count: u64,
}

/// The status of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    /// It is deleted, and still has tasks.
    Draining,
    Inactive,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// A service revision: the settings that a deployment deploys.
#[derive(Debug, Clone)]
struct Revision {
    /// In its ARN.
    id: String,
    /// `ecs-svc/…`, the id of its entry in `deployments`.
    deployment_id: String,
    created: SystemTime,
    settings: Settings,
    definition: Arc<TaskDefinition>,
    definition_number: u32,
    definition_tags: Vec<Tag>,
    definition_arn: String,
}

/// A task of a service.
#[derive(Debug)]
struct ServiceTask {
    id: String,
    revision: u64,
    /// What the scheduler knows of it.
    known: Known,
    /// Why the scheduler stops it, once it does.
    stop: Option<StopRequest>,
    running_since: Option<SystemTime>,
    /// Health checks of its targets, once their ports are published.
    checks: Vec<Check>,
    /// The target group in which it is unhealthy.
    failed_in: Option<String>,
}

/// The health check of a target.
#[derive(Debug)]
struct Check {
    route: u64,
    address: SocketAddr,
    probe: Probe,
}

/// What the scheduler knows of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Pending,
    Running,
    Healthy,
    Unhealthy,
    Stopping,
}

/// A task that is to be stopped, once its connections are closed.
#[derive(Debug)]
struct StopRequest {
    reason: String,
    not_after: SystemTime,
    is_sent: bool,
}

impl Services {
    /// Returns the services.
    fn iter(&self) -> impl Iterator<Item = &Service> {
        self.by_key.values()
    }

    /// Returns the services that still have something to do.
    fn live_keys(&self) -> Vec<Key> {
        let live = self
            .by_key
            .iter()
            .filter(|(_, service)| service.status != Status::Inactive);
        live.map(|(key, _)| key.clone()).collect()
    }

    /// Counts the active services of a cluster.
    pub(crate) fn count_in(&self, cluster: &str) -> usize {
        self.iter()
            .filter(|service| service.cluster == cluster && service.status == Status::Active)
            .count()
    }

    /// Finds the tags of a service by the part of its ARN after `service/`.
    pub(crate) fn tags_mut(&mut self, resource: &str) -> Option<&mut Vec<Tag>> {
        let (cluster, name) = resource.split_once('/')?;
        let service = self
            .by_key
            .get_mut(&(cluster.to_owned(), name.to_owned()))?;
        Some(&mut service.tags)
    }

    /// Returns an active service, to scale it.
    pub(crate) fn is_active(&self, cluster: &str, name: &str) -> bool {
        let service = self.by_key.get(&(cluster.to_owned(), name.to_owned()));
        service.is_some_and(|service| service.status == Status::Active)
    }
}

impl Service {
    fn key(&self) -> Key {
        (self.cluster.clone(), self.name.clone())
    }

    fn arn(&self, owner: &Owner) -> String {
        owner.arn(&format!("service/{}/{}", self.cluster, self.name))
    }

    /// Returns the ARN of a service revision.
    fn revision_arn(&self, revision: u64, owner: &Owner) -> String {
        let id = self
            .revisions
            .get(&revision)
            .map_or("", |revision| &revision.id);
        owner.arn(&format!(
            "service-revision/{}/{}/{id}",
            self.cluster, self.name
        ))
    }

    /// Returns the ARN of a service deployment.
    fn deployment_arn(&self, deployment: u64, owner: &Owner) -> String {
        let id = self
            .deployment_ids
            .get(&deployment)
            .map_or("", String::as_str);
        owner.arn(&format!(
            "service-deployment/{}/{}/{id}",
            self.cluster, self.name
        ))
    }

    /// Returns the id of a revision's entry in `deployments`.
    fn deployment_id(&self, revision: u64) -> &str {
        self.revisions
            .get(&revision)
            .map_or("", |revision| &revision.deployment_id)
    }
}

impl State {
    /// Finds a service by name or ARN. The cluster in an ARN must be the given one.
    fn find_service(&self, cluster: Option<&str>, text: &str) -> Result<Key, ApiError> {
        let cluster = clusters::resolve(self, cluster)?;
        let not_found = || ApiError::new("ServiceNotFoundException", "Service not found.");
        let resource = self.owner.resource(text, "service")?;
        let name = match resource.split_once('/') {
            Some((own, name)) if own == cluster => name,
            Some(_) => return Err(not_found()),
            None => resource,
        };
        let key = (cluster, name.to_owned());
        match self.services.by_key.get(&key) {
            Some(_) => Ok(key),
            None => Err(not_found()),
        }
    }
}

/// Converts a time to that of the scheduler.
fn to_time(now: SystemTime) -> Time {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}

/// Converts a time of the scheduler.
fn from_time(time: Time) -> SystemTime {
    SystemTime::UNIX_EPOCH + time
}

/// Returns a random number with 19 digits, as in ids of deployments and revisions.
fn random_number() -> String {
    // An id, not a secret.
    fastrand::u64(1_000_000_000_000_000_000..=9_199_999_999_999_999_999).to_string()
}

/// Returns a random id of a service deployment: 21 characters.
fn random_deployment_id() -> String {
    let uuid = random_uuid();
    let digits = uuid.chars().filter(char::is_ascii_alphanumeric);
    digits.take(21).collect()
}
