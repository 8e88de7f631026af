//! Tests against a fake ECS for what moto does not support: exit codes, failures, errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod common;
mod documents;
mod errors;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod wait;
