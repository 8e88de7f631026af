//! An ECS client: registers, compares and runs task definitions.
//!
//! # Overview
//!
//! ```text
//! TaskDefinition ──register──▶ Revision                     latest ──▶ TaskDefinition ──difference──▶ Changes
//! RunRequest ──start──▶ StartedTask ──wait──▶ StoppedTask { exit code, stop reason, containers }
//! ```
//!
//! - [`Client`] is an API client; [`Client::from_environment`] reads the standard AWS configuration, and
//!   `AWS_ENDPOINT_URL` selects an emulator.
//! - [`register`] and [`latest`] pass the JSON document itself, as [`TaskDefinition::to_json`] writes it
//!   (`document.rs`), so no field is lost in a conversion to the SDK's types.
//! - [`run`] starts a task and waits until it stops.
//! - [`images_in_use`] lists the images of recent task definitions and services.
//! - [`RequestSigner`] signs requests to APIs without an SDK here, such as that of Amazon ECR.
//! - [`Error`] has messages for users, without details of the transport.
//!
//! Only this crate depends on the AWS SDK. It prints nothing.
//!
//! [`TaskDefinition::to_json`]: task_definition::TaskDefinition::to_json

mod client;
mod credentials;
mod document;
mod error;
mod in_use;
mod register;
mod run;
mod signed;

pub use client::Client;
pub use credentials::{CredentialSource, TaskCredentials};
pub use error::{Error, Failure};
pub use in_use::images_in_use;
pub use register::{Comparison, Revision, difference, latest, register};
pub use run::{
    ContainerExit, Override, PublicAddress, RunRequest, StartedTask, StoppedTask, Wait, run, start,
    wait,
};
pub use signed::RequestSigner;
