//! The forms in which people hold task definitions, services and requests to run tasks.
//!
//! ```text
//! text ──parse──▶ Node ──recognise──▶ parts ──convert──▶ documents in the API's words ──judge──▶ findings
//!                                      (templates: once for each way they can turn out)  in the user's words
//! ```
//!
//! A file may hold several documents: a template with its definitions and services, the answer of
//! `describe-services`, a list. Functions of templates are worked out where that is possible (`convert.rs`,
//! `evaluate.rs`). A template with conditions is judged in each of the ways it can turn out (`template.rs`).
//! What is unknown even so gets stand-ins, and a finding counts only if it is made with every one of them
//! (`stand_in.rs`, `judge.rs`): so no rule has to know that values can be unknown.

mod convert;
mod evaluate;
mod judge;
pub mod names;
mod reading;
mod recognise;
mod resources;
mod stand_in;
mod template;
mod words;

pub use judge::{judge, judge_all, judge_beside};
pub use reading::{Document, Reading, Subject, read_any, recognises};
