//! The state of the emulator. Operations are functions from it and a call to a response.

use std::collections::BTreeMap;

use crate::arn::Owner;
use crate::clusters::Cluster;
use crate::event_log::Events;
use crate::scaling_targets::ScalingTargets;
use crate::services::Services;
use crate::task_definitions::TaskDefinitions;
use crate::tasks::Tasks;
use crate::{Config, ServiceOptions};

/// Everything the emulator knows; in memory only.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) owner: Owner,
    /// By name, those that are INACTIVE too.
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) definitions: TaskDefinitions,
    pub(crate) tasks: Tasks,
    pub(crate) services: Services,
    pub(crate) scaling: ScalingTargets,
    pub(crate) options: ServiceOptions,
    /// The number of tasks that may run at the same time.
    pub(crate) max_tasks: usize,
    /// The account settings that were set.
    pub(crate) settings: BTreeMap<String, String>,
    /// Events that the runner writes.
    pub(crate) events: Events,
}

impl State {
    /// Creates the state of an account in which the cluster `default` exists.
    pub(crate) fn new(config: &Config) -> Self {
        let default = Cluster::new("default");
        Self {
            owner: Owner {
                region: config.region.clone(),
                account: config.account.clone(),
            },
            clusters: [(default.name.clone(), default)].into(),
            definitions: TaskDefinitions::default(),
            tasks: Tasks::default(),
            services: Services::default(),
            scaling: ScalingTargets::default(),
            options: config.services.clone(),
            max_tasks: config.max_tasks,
            settings: BTreeMap::new(),
            events: Events::default(),
        }
    }
}
