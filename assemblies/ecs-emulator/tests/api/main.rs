//! The API as a client of the AWS SDK sees it, and as something that is not a client does.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod definitions;
mod faults;
mod security;
mod support;
mod tasks;
