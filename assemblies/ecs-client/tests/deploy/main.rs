//! Deploying to services, with a fake of ECS that keeps a service's state.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod fake;
mod faults;
mod follow;
mod images;
mod permissions;
mod reach;
mod rollback;
mod stack;
mod update;
