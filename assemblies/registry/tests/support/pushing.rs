//! Pushes with short waits.

use std::sync::Arc;
use std::time::Duration;

use registry::layout::Layout;
use registry::push::{Progress, PushOptions, PushedImage};
use registry::{Client, Credentials, Error, Limits};
use tempfile::TempDir;

use super::store::{layout, noise};

pub(crate) fn limits() -> Limits {
    Limits {
        request_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        max_retry_wait: Duration::from_millis(5),
        ..Limits::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(Credentials::default(), limits()).unwrap()
}

pub(crate) async fn push(layout: &Layout, image: &str) -> Result<PushedImage, Error> {
    push_with(layout, image, &PushOptions::default()).await
}

pub(crate) async fn push_with(
    layout: &Layout,
    image: &str,
    options: &PushOptions,
) -> Result<PushedImage, Error> {
    let progress = Arc::new(Progress::default());
    let outcome = client().push(layout, image, options, &progress).await;
    if outcome.is_ok() {
        // Bytes that were sent twice count once.
        assert_eq!(progress.done_bytes(), progress.total_bytes());
    }
    outcome
}

pub(crate) fn small_layout(folder: &TempDir) -> Layout {
    layout(folder.path(), &noise(20_000), &["amd64"])
}
