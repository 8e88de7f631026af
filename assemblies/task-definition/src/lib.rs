//! The ECS task definition as a type, read with the location of every value, and its normal form.
//!
//! # Tour
//!
//! ```text
//! text ──diagnostics::source::parse──▶ Node ──read──▶ LocatedDefinition ──rules of `ecs-rules`──▶ findings
//!                                                             │
//!                                                             └─normalise─▶ comparable definition ──diff──▶ changes
//! ```
//!
//! - [`TaskDefinition`] and [`ContainerDefinition`] are the input of RegisterTaskDefinition. One declaration per
//!   record defines the type, its JSON names and the [`Schema`] that [`read`] validates against (`record.rs`).
//! - [`Service`] and [`RunTask`] are the inputs of CreateService and RunTask, declared in the same way.
//! - [`read`] reports unknown fields, missing fields and wrong types together, and keeps the locations.
//! - [`read_partial_node`] reads what is valid despite such findings, for the rules (`partial.rs`).
//! - [`normalise`] fills in the defaults of ECS; [`diff`] compares two definitions.
//! - [`apply_fixes`] applies fixes to a definition, also inside a `describe-task-definition` response.
//! - [`edit_text`] changes a text into another definition and keeps its layout.
//! - [`ImageReference`] splits an image reference into repository, tag and digest.
//! - [`stop_reasons`] is a table of the reasons why tasks stop, with cause and next step.
//! - [`find_placeholder`] recognizes values that are not filled in.
//! - [`fargate_sizes`] is the table of CPU and memory combinations that Fargate supports.
//!
//! The crate is pure: it reads no file, no clock, no environment, and prints nothing.
//!
//! ```
//! use diagnostics::{Color, source::Source};
//! use task_definition::read;
//!
//! let text = r#"{ "family": "web", "cpu": 256, "containerDefinitions": [] }"#;
//! let findings = read(&Source::new("web.json", text)).expect_err("the API expects a string");
//! assert_eq!(findings[0].rule, "C06");
//! assert_eq!(findings[0].hint, "write \"256\", with quotes");
//! ```

mod container;
mod diff;
mod edits;
mod express;
pub mod fargate_sizes;
mod image;
mod normal;
mod partial;
mod placeholder;
mod read;
mod record;
mod run_task;
mod service;
pub mod stop_reasons;
mod task;
mod volume;

pub use container::*;
pub use diff::{Change, diff};
pub use edits::edit_text;
pub use express::*;
pub use image::ImageReference;
pub use normal::normalise;
pub use partial::{PartialRecord, UnreadValue, read_partial_record};
pub use placeholder::find_placeholder;
pub use read::{
    LocatedDefinition, UNKNOWN_CONDITION, UNKNOWN_FIELD, WRONG_TYPE, apply_fixes, read, read_node,
    read_partial_node, read_record, read_value, without_nulls,
};
pub use record::{Field, HasSchema, Required, Schema};
pub use run_task::*;
pub use service::*;
pub use task::*;
pub use volume::*;
