//! What a task is started from.

use std::sync::Arc;

use task_definition::{Tag, TaskDefinition, TaskOverride};

/// Everything that is known about a task before it is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) cluster: String,
    /// The definition as it is registered, and its revision.
    pub(crate) definition: Arc<TaskDefinition>,
    pub(crate) revision: u32,
    pub(crate) overrides: TaskOverride,
    /// `family:…`, `service:…`, or the caller's.
    pub(crate) group: String,
    pub(crate) started_by: Option<String>,
    /// The name of its service.
    pub(crate) service: Option<String>,
    pub(crate) capacity_provider: Option<String>,
    pub(crate) subnet: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) enable_execute_command: bool,
}
