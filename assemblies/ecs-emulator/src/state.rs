//! The state of the emulator. Operations are functions from it and a call to a response.

use std::collections::BTreeMap;

use crate::Config;
use crate::arn::Owner;
use crate::clusters::Cluster;
use crate::task_definitions::TaskDefinitions;

/// Everything the emulator knows; in memory only.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) owner: Owner,
    /// By name, those that are INACTIVE too.
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) definitions: TaskDefinitions,
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
        }
    }
}
