//! Limits clients with too many failed credentials.
//!
//! Cached tokens still pass, so a client that shares its address with a guesser keeps its access.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::HumanDuration;
use chassis::http::Peer;
use http::HeaderName;
use http::request::Parts;
use lru::LruCache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::credentials::is_from_this_task;
use crate::rejection::Rejection;

/// Limit for failed credentials of one client.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FailureSettings {
    /// Failed credentials of one client per window before it gets 429; 0 disables the limit.
    pub limit: u32,
    /// Length of the window in which failures are counted.
    pub window: HumanDuration,
    /// Number of trusted proxies outside of this task that append to `x-forwarded-for`, such as 1
    /// for a load balancer.
    pub trusted_hops: usize,
    /// Whether the proxy in this task sets `x-forwarded-for`; set it to false if that proxy forwards TCP
    /// connections, as tls-proxy does in mode `tcp`: then the header is the client's own.
    pub forwarded_by_task: bool,
}

impl Default for FailureSettings {
    fn default() -> Self {
        Self {
            limit: 0,
            window: HumanDuration::from_secs(60),
            trusted_hops: 0,
            forwarded_by_task: true,
        }
    }
}

/// Counts failed credentials per client.
#[derive(Clone)]
pub struct FailureLimiter {
    settings: FailureSettings,
    table: Arc<Mutex<LruCache<IpAddr, FailureCount>>>,
}

#[derive(Clone, Copy, Debug)]
struct FailureCount {
    since: Instant,
    failures: u32,
}

impl FailureLimiter {
    /// Creates a limiter from settings.
    pub fn new(settings: FailureSettings) -> Self {
        Self {
            settings,
            table: Arc::new(Mutex::new(LruCache::new(MAX_CLIENTS))),
        }
    }

    /// Rejects a client over the limit; otherwise returns its address.
    pub(crate) fn check(&self, request: &Parts) -> Result<Option<IpAddr>, Rejection> {
        if self.settings.limit == 0 {
            return Ok(None);
        }

        let client = client(request, &self.settings).map(network);
        let Some(address) = client else {
            return Ok(None);
        };
        let window = self.settings.window.duration();
        let count = self.lock().get(&address).copied();

        // A window that has ended no longer blocks; the count restarts with the next failure.
        match count {
            Some(count) if count.failures >= self.settings.limit => {
                match window.checked_sub(count.since.elapsed()) {
                    Some(wait) if wait > Duration::ZERO => Err(Rejection::TooMany { wait }),
                    _ => Ok(client),
                }
            }
            _ => Ok(client),
        }
    }

    /// Records a failed credential.
    pub(crate) fn record_failure(&self, client: Option<IpAddr>) {
        let Some(client) = client else { return };
        let window = self.settings.window.duration();
        let mut table = self.lock();
        let fresh = FailureCount {
            since: Instant::now(),
            failures: 0,
        };
        let count = table.get_or_insert_mut(client, || fresh);

        if count.since.elapsed() >= window {
            *count = fresh;
        }
        count.failures = count.failures.saturating_add(1);
    }

    /// Returns the client's address according to the trusted proxies.
    pub(crate) fn client(&self, request: &Parts) -> Option<IpAddr> {
        client(request, &self.settings)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<IpAddr, FailureCount>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FailureLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLimiter")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Returns the address in front of the trusted proxies: the one in this task and `trusted_hops` before it.
/// The list is read from the end, because a client can write arbitrary entries at the beginning.
fn client(request: &Parts, settings: &FailureSettings) -> Option<IpAddr> {
    let peer = request
        .extensions
        .get::<Peer>()?
        .address
        .ip()
        .to_canonical();

    // The proxy in this task appended the last entry; without that proxy the peer is the first hop. A proxy that
    // forwards TCP appends nothing, and a load balancer in front of it is the first hop.
    let is_appended = settings.forwarded_by_task && is_from_this_task(request);
    let skipped = match (is_appended, settings.trusted_hops) {
        (true, hops) => hops,
        (false, 0) => return Some(peer),
        (false, hops) => hops - 1,
    };

    let mut entries = request
        .headers
        .get_all(FORWARDED_FOR)
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));

    let entry = entries.nth(skipped);
    entry.and_then(parse_address).or(Some(peer))
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let plain = bare.parse().ok();
    let address = plain.or_else(|| Some(text.parse::<std::net::SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

/// Reduces an IPv6 address to its /64, the smallest network a client usually controls.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Size of the table; the least recently used client is forgotten.
const MAX_CLIENTS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

#[cfg(test)]
mod tests {
    use super::*;
    use chassis::http::Protocol;
    use http::Request;

    fn request(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer {
            address: peer.parse().unwrap(),
            protocol: Protocol::Http1,
        });
        for value in forwarded {
            let value = value.parse().unwrap();
            request.headers_mut().append(FORWARDED_FOR, value);
        }
        request.into_parts().0
    }

    #[test]
    fn client_is_the_entry_of_the_last_trusted_proxy() {
        for (peer, forwarded, hops, is) in [
            (
                // Entries left of the trusted ones are client-controlled and ignored.
                "127.0.0.1:1",
                &["6.6.6.6, 203.0.113.9"][..],
                0,
                "203.0.113.9",
            ),
            ("127.0.0.1:1", &["6.6.6.6", "203.0.113.9"], 0, "203.0.113.9"),
            ("127.0.0.1:1", &["203.0.113.9, 10.0.0.2"], 1, "203.0.113.9"),
            ("127.0.0.1:1", &["[2001:db8::1]:443"], 0, "2001:db8::1"),
            ("127.0.0.1:1", &["nonsense"], 0, "127.0.0.1"),
            ("127.0.0.1:1", &[], 0, "127.0.0.1"),
            ("203.0.113.9:1", &["6.6.6.6"], 0, "203.0.113.9"),
            ("10.0.0.2:1", &["6.6.6.6, 203.0.113.9"], 1, "203.0.113.9"),
        ] {
            let settings = FailureSettings {
                trusted_hops: hops,
                ..FailureSettings::default()
            };
            let client = client(&request(peer, forwarded), &settings).unwrap();
            assert_eq!(client.to_string(), is, "{peer} {forwarded:?} {hops}");
        }
    }

    #[test]
    fn a_proxy_that_forwards_tcp_does_not_vouch_for_the_header() {
        for (forwarded, hops, is) in [
            (&["6.6.6.6"][..], 0, "127.0.0.1"),
            (&["6.6.6.6, 203.0.113.9"], 1, "203.0.113.9"),
        ] {
            let settings = FailureSettings {
                trusted_hops: hops,
                forwarded_by_task: false,
                ..FailureSettings::default()
            };
            let client = client(&request("127.0.0.1:1", forwarded), &settings).unwrap();
            assert_eq!(client.to_string(), is, "{forwarded:?} {hops}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn rejects_a_client_over_the_limit_until_the_window_ends() {
        let failures = FailureLimiter::new(FailureSettings {
            limit: 2,
            ..FailureSettings::default()
        });
        let guesser = request("203.0.113.9:1", &[]);

        for _ in 0..2 {
            let client = failures.check(&guesser).unwrap();
            failures.record_failure(client);
        }

        let rejection = failures.check(&guesser).unwrap_err();
        assert!(matches!(rejection, Rejection::TooMany { wait } if wait <= Duration::from_mins(1)));
        assert!(failures.check(&request("203.0.113.8:1", &[])).is_ok());
        // One second past the default window of 60 s.
        tokio::time::advance(Duration::from_secs(61)).await;
        let client = failures.check(&guesser).unwrap();

        failures.record_failure(client);
        assert!(failures.check(&guesser).is_ok(), "counted anew");
    }

    #[test]
    fn an_ipv6_64_is_one_client_and_the_table_is_bounded() {
        let limit = FailureSettings {
            limit: 1,
            ..FailureSettings::default()
        };
        let failures = FailureLimiter::new(limit);
        let client = failures.check(&request("[2001:db8::1]:1", &[])).unwrap();

        failures.record_failure(client);
        assert!(failures.check(&request("[2001:db8::ffff]:1", &[])).is_err());
        // More clients than entries, as in an attack from many addresses.
        for n in 0..2 * MAX_CLIENTS.get() as u32 {
            failures.record_failure(Some(IpAddr::V4(n.into())));
        }

        assert_eq!(failures.lock().len(), MAX_CLIENTS.get());
        let off = FailureLimiter::new(FailureSettings::default());
        off.record_failure(off.check(&request("203.0.113.9:1", &[])).unwrap());
        assert_eq!(off.lock().len(), 0);
    }
}
