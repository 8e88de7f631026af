//! Shared by the tests: generated keys, an issuer that publishes them, an upstream that records
//! requests, and the filter between them. All on loopback with port 0.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of this"
)]

pub mod harness;
pub mod issuer;
pub mod signer;
pub mod upstream;

use std::time::Duration;

/// Waits for a condition with a time limit.
pub async fn until(what: &str, mut claim_matches: impl FnMut() -> bool) {
    let waiting = async {
        while !claim_matches() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited for: {what}"));
}

/// Longer than any operation takes, even on a busy host.
pub const LIMIT: Duration = Duration::from_secs(30);
