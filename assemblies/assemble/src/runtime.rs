//! The async runtime of the verbs that make requests or wait for signals.

use tokio::runtime::{Builder, Runtime};

use crate::error::CliError;

/// Creates a runtime on the current thread: a verb makes few requests at the same time.
pub(crate) fn new() -> Result<Runtime, CliError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Usage(format!("cannot start the async runtime: {error}")))
}
