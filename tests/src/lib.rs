//! Support for the acceptance tests: an isolated network and project per test, and the real binaries as
//! processes, with a timeout on every wait.
//!
//! Start reading at [`Network`] (which a test's processes share) and [`Process`] (one of them); the
//! tests are in `tests/acceptance/`, one file per subject.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed precondition must fail the test"
)]

mod emulator;
mod network;
mod process;
mod project;

pub use emulator::Emulator;
pub use network::Network;
pub use process::{Process, ProcessOutput, wait_until};
pub use project::{Project, binary, bundle_folders, component_folders, report_skip, workspace};
