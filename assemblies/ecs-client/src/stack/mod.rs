//! Deploys the CloudFormation stack of an assembly.
//!
//! ```text
//! name ──prepare──▶ Readiness ──StackPlan::new──▶ StackPlan ──execute──▶ ExecutedChangeSet ──follow_stack──▶ StackOutcome
//! ```
//!
//! | file | does |
//! |---|---|
//! | `state` | a stack as it is, and whether it can be changed |
//! | `prepare` | waits for what is in progress, refuses stacks of other tools |
//! | `change_set` | change sets: creates, reads, executes and deletes them |
//! | `plan` | what a deploy would change |
//! | `follow` | follows an operation of the stack, with the deployment of its service |
//! | `delete` | deletes the stack |

mod change_set;
mod delete;
mod follow;
mod plan;
mod prepare;
mod state;

pub use change_set::{PropertyChange, Replacement, ResourceChange};
pub use delete::{StackResource, delete_stack, stack_resources};
pub use follow::{FailedResource, StackOutcome, follow_stack};
pub use plan::{ExecutedChangeSet, StackChange, StackPlan};
pub use prepare::{Readiness, prepare};
pub use state::{StackState, describe_stack};

use crate::deploy::{DeployEvent, ServiceName};

/// What happens to a stack, for messages.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum StackEvent<'a> {
    /// An operation is in progress already.
    Busy {
        /// The status of the stack, such as `UPDATE_IN_PROGRESS`.
        status: &'a str,
    },
    /// A resource, or the stack itself, has another status.
    Resource {
        /// The logical id.
        name: &'a str,
        /// The type, such as `AWS::ECS::Service`.
        kind: &'a str,
        /// The status, such as `UPDATE_COMPLETE`.
        status: &'a str,
        /// The reason.
        reason: Option<&'a str>,
    },
    /// The deployment of the stack's service.
    Service {
        /// The service.
        service: &'a ServiceName,
        /// What happens.
        event: DeployEvent<'a>,
    },
    /// A call is repeated.
    Retry {
        /// The cause.
        reason: &'a str,
    },
}

/// The tag of stacks that this program made; its value is the name of the assembly.
const OWNER_TAG: &str = "assemble:assembly";
/// The tag with the environment whose values the stack has.
const ENVIRONMENT_TAG: &str = "assemble:environment";
/// The start of the names of change sets that this program made.
const CHANGE_SET_PREFIX: &str = "assemble-";
