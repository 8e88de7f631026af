//! The verbs that call AWS, against a fake of ECS and STS in the test process.

#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod account;
mod common;
#[path = "../../../ecs-client/tests/support/mod.rs"]
mod fake;
mod init;
mod register;
mod run;
#[path = "../support/mod.rs"]
mod support;
mod verify;
mod why;
