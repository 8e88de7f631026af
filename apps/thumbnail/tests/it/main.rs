//! Tests the behaviour of `thumbnail`: frames, bytes read, exit codes, responses.
//!
//! ffmpeg generates the videos and paints the frame number on each frame. Without ffmpeg or one of
//! its encoders, the tests that need it are skipped with a message.
#![allow(
    clippy::unwrap_used,
    reason = "this crate consists of tests and their helpers"
)]

mod clips;
mod component;
mod frames;
mod process;
mod remote;
mod run;
mod server;
mod service;
mod static_build;
