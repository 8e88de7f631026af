//! Deploys revisions to services that exist.
//!
//! ```text
//! Change + service ──Plan::new──▶ Plan ──apply──▶ StartedDeployment ──follow──▶ DeploymentOutcome
//! service ──rollback_target──▶ Change::Revision                              answer ──▶ a PAUSE hook goes on or back
//! ```
//!
//! | file | does |
//! |---|---|
//! | `name` | `CLUSTER/SERVICE`, tasks |
//! | `service` | a service as it is |
//! | `revision` | the running revision with other images |
//! | `update` | what differs; registers it and updates the service |
//! | `writer` | changes images while other writers do the same |
//! | `deployments` | the deployments of a service, and which one is ours |
//! | `follow`, `state` | follows a deployment |
//! | `watch` | shows a deployment that CloudFormation began |
//! | `failures` | tasks that failed, with their last lines of output |
//! | `pause` | answers a hook that waits |
//! | `rollback` | the last revision that completed |
//! | `scale` | the number of tasks |

mod deployments;
mod failures;
mod follow;
mod name;
mod pause;
mod revision;
mod rollback;
mod scale;
mod service;
mod state;
mod update;
mod watch;
mod writer;

pub use failures::FailedTask;
pub use follow::{DeploymentOutcome, FollowWait, follow};
pub use name::{ServiceName, TaskName};
pub use pause::{Answer, answer};
pub use revision::Images;
pub use rollback::rollback_target;
pub use scale::{ScalableTarget, Scaling, scalable_target, scale, set_limits};
pub use service::{ServiceState, describe_service};
pub use state::{DeploymentState, Pause, RevisionTasks, describe_deployment};
pub use update::{Change, Plan, StartedDeployment, Update};
pub(crate) use watch::DeploymentWatch;

/// What happens during a deploy, for messages.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum DeployEvent<'a> {
    /// A revision was registered.
    Registered {
        /// The ARN of the revision.
        revision: &'a str,
    },
    /// Another writer updated the service; the change is made again on its revision.
    Changed {
        /// The ARN of the revision that runs now.
        revision: &'a str,
    },
    /// Our update replaced one of another writer that we had not seen; both changes are deployed again.
    Replaced {
        /// The ARN of the other writer's revision.
        revision: &'a str,
    },
    /// The last deployment of the revision failed, and is begun again.
    FailedBefore,
    /// The revision is being deployed already.
    InProgress {
        /// The ARN of the service deployment.
        deployment: &'a str,
    },
    /// UpdateService is about to be called.
    Updating {
        /// The ARN of the revision.
        revision: &'a str,
    },
    /// The deployment changed.
    State {
        /// The deployment now.
        now: &'a DeploymentState,
        /// The deployment at the last look.
        before: Option<&'a DeploymentState>,
    },
    /// The service has a new event.
    Service {
        /// The text of ECS.
        message: &'a str,
    },
    /// A task failed.
    FailedTask(&'a FailedTask),
    /// A call is repeated.
    Retry {
        /// The cause.
        reason: &'a str,
    },
    /// Failed tasks or their output cannot be read.
    NoDetails {
        /// The cause.
        reason: &'a str,
    },
}
