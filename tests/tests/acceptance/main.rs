//! Acceptance tests: the command line as a user sees it, and the contracts between the crates.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed precondition must fail the test"
)]

mod component_names;
mod conformance;
mod dependencies;
mod documents;
mod emulator;
mod image_conformance;
mod images;
mod local_runs;
mod oracles;
mod readme;
mod remote;
