//! What the caller passes.

use std::path::PathBuf;

/// The settings of an emulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The project's directory. `.assemble/emulator/` below it has keys, events and task definitions.
    pub root: PathBuf,
    /// The region in ARNs, and the one that clients sign for.
    pub region: String,
    /// The account in ARNs: twelve digits.
    pub account: String,
    /// The number of tasks that may run at the same time; RunTask answers with a capacity failure beyond it.
    pub max_tasks: usize,
}

impl Config {
    /// Creates the configuration of a project, with the defaults of `assemble emulate`.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            max_tasks: MAX_TASKS,
        }
    }
}

/// The default of [`Config::max_tasks`].
const MAX_TASKS: usize = 200;
