//! What the tests share: keys of their own making, an issuer that publishes them, an upstream that
//! writes down what reaches it, and the filter between them. All on loopback, port 0.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part of this"
)]

pub mod harness;
pub mod issuer;
pub mod signer;
pub mod upstream;

use std::time::Duration;

/// Waits for a condition, with a limit.
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

/// Longer than anything here takes, on any machine.
pub const LIMIT: Duration = Duration::from_secs(30);
