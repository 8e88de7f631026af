//! The verbs that call AWS, against a fake of ECS and STS in the test process.

#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

mod account;
mod common;
mod deploy;
#[path = "../../../ecs-client/tests/support/mod.rs"]
mod fake;
mod init;
mod reach;
mod register;
mod run;
mod service;
#[path = "../../../ecs-client/tests/deploy/fake.rs"]
mod service_fake;
mod stack;
#[path = "../support/mod.rs"]
mod support;
mod verify;
mod why;
