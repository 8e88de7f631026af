//! A container here is not a place that could be entered.

use std::io;

use crate::machine::ExitCode;

/// Refuses: what a process has for variables, and where it runs, it tells nobody here.
///
/// # Errors
///
/// Always.
pub fn enter(_: u32, _: &[String]) -> io::Result<ExitCode> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "entering a container is a thing of Linux",
    ))
}
