//! The input formats for task definitions, services and RunTask requests.
//!
//! ```text
//! text ──parse──▶ Node ──detect──▶ parts ──convert──▶ documents with API names ──check──▶ findings
//!                                (templates: once per assignment of conditions)   with names of the file
//! ```
//!
//! A file may contain several documents: a template with its definitions and services, a response of
//! `describe-services`, a list. Template functions are evaluated where possible (`convert.rs`, `evaluate.rs`).
//! A template with conditions is checked once per assignment of its conditions (`template.rs`). Values that
//! remain unknown are replaced by candidate values, and only findings that occur with every candidate are
//! reported (`candidates.rs`, `check.rs`), so rules do not need to handle unknown values.

mod candidates;
mod check;
mod compose;
mod convert;
mod copilot;
mod derived;
mod detect;
mod document;
mod ecspresso;
mod evaluate;
mod express;
mod fargate;
mod for_each;
mod foreign;
pub mod names;
mod read;
mod resources;
mod source_map;
mod stack;
mod template;
mod terraform;

pub use check::{check_input, check_input_with, check_inputs};
pub use document::{Document, DocumentKind, NotEvaluated, ParsedInput};
pub use fargate::retarget_to_fargate;
pub use foreign::{ForeignFile, foreign_file, foreign_text};
pub use read::{DEFINITION_FORM, form_of, has_documents, parse_input, read_input};
