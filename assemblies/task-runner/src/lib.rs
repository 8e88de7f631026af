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
//! - [`run`] is the loop around it. It starts what the machine wants started and tells it what
//!   happened, until everything has ended.
//! - `init` is a small process between the runner and each container: it outlives neither, and when
//!   either goes, everything the container started goes with it, even after `kill -9` of the runner.
//!   The program that calls [`run`] therefore calls [`init::intercept`] first thing in `main`.
//! - `journal` takes the output of a container, line by line, and never keeps it waiting.
//!
//! The library prints nothing: [`RunnerEvent`]s and [`Finished`] are all there is to show.

mod event;
pub mod init;
mod journal;
mod launch;
pub mod machine;
mod plan;
mod probe;
mod process;
mod runner;

pub use event::{ContainerReport, Control, Finished, RunnerEvent, Stream, What};
pub use plan::{Program, RunError, RunPlan, Secrets};
pub use probe::once;
pub use runner::run;
