//! The AWS hand: registers, compares and runs task definitions.
//!
//! # A tour
//!
//! ```text
//! TaskDefinition ──register──▶ Revision                     latest ──▶ TaskDefinition ──difference──▶ Changes
//! RunRequest ──start──▶ Started ──wait──▶ Finished { exit code, why it stopped, every container }
//! ```
//!
//! - [`Client`] is a connection; [`Client::from_environment`] reads what every AWS tool reads, and
//!   `AWS_ENDPOINT_URL` sends it to an emulator.
//! - [`register`] and [`latest`] pass the document itself, byte for byte as [`TaskDefinition::to_json`] writes
//!   it (`document.rs`), so no field is lost between our type and the SDK's.
//! - [`run`] starts a task and waits for its end.
//! - [`Error`] says in plain words who refused what; nothing of a transport's debris reaches the user.
//!
//! The AWS SDK is a dependency of this crate alone. Nothing here prints.
//!
//! [`TaskDefinition::to_json`]: task_definition::TaskDefinition::to_json

mod client;
mod credentials;
mod document;
mod error;
mod register;
mod run;

pub use client::Client;
pub use credentials::{TaskCredentials, Whose};
pub use error::{Error, Failure};
pub use register::{Comparison, Revision, difference, latest, register};
pub use run::{
    ContainerEnd, Finished, Override, PublicAddress, RunRequest, Started, Wait, run, start, wait,
};
