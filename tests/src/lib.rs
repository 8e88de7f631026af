//! What the acceptance tests stand on: a network of their own, a project of their own, and the real
//! binaries as processes with a limit on every wait.
//!
//! Start reading at [`Network`] (where a test's processes live) and [`Process`] (one of them); the
//! tests themselves are in `tests/acceptance/`, one file a subject.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken precondition of a test must end the test"
)]

mod network;
mod process;
mod project;

pub use network::Network;
pub use process::{Finished, Process, wait_until};
pub use project::{Project, binary, component_folders, skipped, workspace};
