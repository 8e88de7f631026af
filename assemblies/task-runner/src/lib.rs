//! The local hand: runs a task definition here as Fargate would, as ordinary processes.
//!
//! # A tour
//!
//! ```text
//!                       Event                    Action
//! processes, probes, ─────────▶ machine::step ─────────▶ runner ──▶ processes, probes
//! control, the clock                                       │
//!                                                          └──▶ RunnerEvent, to whoever watches
//! ```
//!
//! - [`machine`] knows the rules: order, health, restarts, the stop. It is pure and can be tested
//!   without a clock.
//! - `run` is the loop around it. It starts what the machine wants started and tells it what
//!   happened, until everything has ended.
//! - [`Timeline`] plays the machine through with nothing run, [`Story`] as somebody tells it. They and the
//!   machine need no feature; the rest is behind `run`.
//! - `init` is a small process between the runner and each container: it outlives neither, and when
//!   either goes, everything the container started goes with it, even after `kill -9` of the runner.
//!   The program that calls `run` therefore calls `init::intercept` first thing in `main`.
//! - `metadata` answers what a container asks of its surroundings: what task it is in, what it uses.
//! - `journal` takes the output of a container, line by line, and never keeps it waiting.
//! - Running a task needs Linux: namespaces, control groups, pidfds. On macOS, use a Linux VM or container.
//!
//! The library prints nothing: `RunnerEvent`s and `Finished` are all there is to show.

#[cfg(all(feature = "run", not(target_os = "linux")))]
compile_error!("running tasks needs Linux; on macOS, build inside a Linux VM or container");

#[cfg(feature = "run")]
mod enter;
#[cfg(feature = "run")]
mod event;
#[cfg(feature = "run")]
mod groups;
#[cfg(feature = "run")]
mod image;
#[cfg(feature = "run")]
pub mod init;
#[cfg(feature = "run")]
mod journal;
#[cfg(feature = "run")]
mod launch;
pub mod machine;
#[cfg(feature = "run")]
mod memory;
#[cfg(feature = "run")]
pub mod metadata;
#[cfg(feature = "run")]
mod offspring;
#[cfg(feature = "run")]
mod plan;
#[cfg(feature = "run")]
mod probe;
#[cfg(feature = "run")]
mod process;
#[cfg(feature = "run")]
mod reaper;
#[cfg(feature = "run")]
mod runner;
#[cfg(feature = "run")]
pub mod sandbox;
mod story;
#[cfg(feature = "run")]
pub mod stub;
#[cfg(feature = "run")]
mod system;
mod timeline;

pub use story::{Story, StoryError, Told};
pub use timeline::{Latest, Moment, Timeline};

#[cfg(feature = "run")]
pub use enter::enter;
#[cfg(feature = "run")]
pub use event::{ContainerReport, Control, Finished, RunnerEvent, Stream, What};
#[cfg(feature = "run")]
pub use groups::Groups;
#[cfg(feature = "run")]
pub use image::Image;
#[cfg(feature = "run")]
pub use plan::{Program, RunError, RunPlan, Secrets, names};
#[cfg(feature = "run")]
pub use probe::once;
#[cfg(feature = "run")]
pub use runner::{forget, run};
#[cfg(feature = "run")]
pub use system::listener;
