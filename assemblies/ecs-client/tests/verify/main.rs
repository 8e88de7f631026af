//! `verify` against a fake account.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing helper fails the test"
)]

mod account;
mod calls;
mod denied;
mod faults;
mod faults_of_names;
#[path = "../support/mod.rs"]
mod support;
mod wire;
