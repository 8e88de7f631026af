//! What a user sees, and the promises between the rooms.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken precondition of a test must end the test"
)]

mod arrows;
mod conformance;
mod documents;
mod oracles;
mod remote;
mod rides;
