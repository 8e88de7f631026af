//! The async runtime of a run.

use tokio::runtime::{Builder, Runtime};

use crate::Error;

/// Creates the runtime. It has two threads, so that a blocked task does not delay signals.
pub(crate) fn new_runtime() -> Result<Runtime, Error> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|failure| Error::Usage(format!("cannot start: {failure}")))
}
