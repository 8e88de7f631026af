//! Service deployments as a pure state machine: no tasks, clock or network.
//!
//! [`step`] takes an event and the time, changes the [`Scheduler`] of one service, and returns what to do. The four
//! strategies differ in their stages and in the tasks that each stage wants:
//!
//! ```text
//! ROLLING                   PRE_SCALE_UP ▶ SCALE_UP ▶ POST_SCALE_UP ▶ BAKE_TIME ▶ CLEAN_UP
//! BLUE_GREEN LINEAR CANARY  RECONCILE ▶ PRE_SCALE_UP ▶ SCALE_UP ▶ POST_SCALE_UP ▶ test traffic
//!                           ▶ production traffic (in steps) ▶ BAKE_TIME ▶ CLEAN_UP
//! ```
//!
//! | module | does |
//! |---|---|
//! | `config`, `parse`, `defaults` | the service's `deploymentConfiguration`, with defaults and limits |
//! | `scheduler`, `record` | the state of a service, and how events change it |
//! | `advance` | moves a deployment from stage to stage, and rolls it back |
//! | `hooks` | lifecycle hooks of a stage |
//! | `breaker` | the deployment circuit breaker |
//! | `reconcile`, `batch` | which tasks to start and to stop |

mod advance;
mod batch;
mod breaker;
mod config;
mod defaults;
mod hooks;
mod parse;
#[cfg(test)]
mod properties;
mod reconcile;
mod record;
#[cfg(test)]
mod scenarios;
mod scheduler;
mod status;
#[cfg(test)]
mod test_service;
mod timing;

pub(crate) use config::{DeploymentConfig, Strategy, TimeoutAction};
pub(crate) use defaults::with_defaults;
pub(crate) use hooks::{HookState, HookStatus};
pub(crate) use scheduler::{
    Action, Deployment, Event, Note, Outcome, Scheduler, StopReason, Time, step,
};
pub(crate) use status::Status;
pub(crate) use timing::Timing;
