//! What a user of `thumbnail` sees: the right frame, few bytes, exit codes, answers.
//!
//! Films are made by ffmpeg, each frame with its number painted on it. Without ffmpeg, or without
//! one of its encoders, what needs it is skipped by name.
#![allow(
    clippy::unwrap_used,
    reason = "all of this is tests, helpers of tests included"
)]

mod clips;
mod component;
mod frames;
mod remote;
mod run;
mod server;
mod service;
