//! Runs an ECS task definition on this host with Fargate's rules, as ordinary processes.
//!
//! # A tour
//!
//! ```text
//!                       Event                    Action
//! processes, probes, ─────────▶ machine::step ─────────▶ runner ──▶ processes, probes
//! control, the clock                                       │
//!                                                          └──▶ RunnerEvent, to the caller
//! ```
//!
//! - [`machine`] implements the rules: start order, health, restarts, the stop. It is a pure state machine and
//!   is tested without a clock.
//! - `run` is the loop around it. It performs the machine's actions and reports back what happened, until every
//!   container has ended.
//! - [`Timeline`] simulates a task without running anything; [`Scenario`] replays a list of events from a file.
//!   These two and the machine need no feature; everything else is behind the feature `run`.
//! - `init` is a small process between the runner and each container. When the runner or the container ends,
//!   init kills everything the container started, even after `kill -9` of the runner. A program that calls
//!   `run` therefore calls `init::run_if_init` first in `main`.
//! - `metadata` serves the task metadata endpoint: containers query their task, their limits and their usage.
//! - `container_log` reads the output of a container line by line and never blocks it.
//! - Running a task needs Linux: namespaces, control groups, pidfds. On macOS, use a Linux VM or container.
//!
//! The library prints nothing: it reports through `RunnerEvent`s and the final `TaskReport`.

#[cfg(all(feature = "run", not(target_os = "linux")))]
compile_error!("running tasks needs Linux; on macOS, build inside a Linux VM or container");

#[cfg(feature = "run")]
mod cgroups;
#[cfg(feature = "run")]
mod container_log;
#[cfg(feature = "run")]
mod enter;
#[cfg(feature = "run")]
mod event;
#[cfg(feature = "run")]
mod image;
#[cfg(feature = "run")]
mod image_volume;
#[cfg(feature = "run")]
pub mod init;
#[cfg(feature = "run")]
mod launch;
pub mod machine;
#[cfg(feature = "run")]
mod memory;
#[cfg(feature = "run")]
pub mod metadata;
#[cfg(feature = "run")]
mod plan;
#[cfg(feature = "run")]
mod probe;
#[cfg(feature = "run")]
mod process;
#[cfg(feature = "run")]
mod process_tree;
#[cfg(feature = "run")]
mod reaper;
#[cfg(feature = "run")]
mod runner;
#[cfg(feature = "run")]
pub mod sandbox;
mod scenario;
#[cfg(feature = "run")]
pub mod stub;
#[cfg(feature = "run")]
mod system;
mod timeline;

pub use scenario::{Scenario, ScenarioError, StepResult};
pub use timeline::{LatestStart, Moment, Timeline};

#[cfg(feature = "run")]
pub use cgroups::Cgroups;
#[cfg(feature = "run")]
pub use enter::enter;
#[cfg(feature = "run")]
pub use event::{ContainerReport, Control, EventKind, RunnerEvent, Stream, TaskReport};
#[cfg(feature = "run")]
pub use image::Image;
#[cfg(feature = "run")]
pub use plan::{Program, RunError, RunPlan, Secrets, validate_names};
#[cfg(feature = "run")]
pub use probe::run_probe;
#[cfg(feature = "run")]
pub use runner::{remove_overlays, run};
#[cfg(feature = "run")]
pub use sandbox::image_owner;
#[cfg(feature = "run")]
pub use system::find_listener;
