//! The addresses that a client may connect to, checked where names are resolved.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use super::{super::is_loopback, PlainHttp};

/// The addresses that a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Every address: the operator chooses the URLs.
    Any,
    /// Only addresses on the public internet, and no proxy: a client of the service chooses the URLs.
    PublicOnly,
    /// As [`PublicOnly`](Self::PublicOnly), but a proxy may be used and must itself refuse private
    /// addresses: only literal addresses are checked here then.
    PublicOrProxied,
}

/// The rule for the addresses of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddressRule {
    Any,
    Public,
    Loopback,
}

impl AddressRule {
    /// Returns the rule for a direct connection.
    pub(super) fn new(policy: AddressPolicy, plain: PlainHttp, is_plain: bool) -> Self {
        match (policy, plain) {
            // Also with `PublicOnly`: no address is both, so plain http is then refused.
            (_, PlainHttp::LoopbackOnly) if is_plain => Self::Loopback,
            (AddressPolicy::Any, _) => Self::Any,
            _ => Self::Public,
        }
    }

    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Public => is_public(address),
            Self::Loopback => address.to_canonical().is_loopback(),
        }
    }

    /// Returns whether a host may be connected to, as far as its text determines that.
    pub(super) fn allows_host(self, host: &str) -> bool {
        match host.parse::<IpAddr>() {
            Ok(address) => self.allows(address),
            // Names of this host (RFC 6761, section 6.3), which a proxy may resolve to itself.
            Err(_) => self != Self::Public || !is_localhost(host),
        }
    }
}

/// Returns whether a host is this host or a link-local address such as the task metadata endpoint,
/// which a proxy cannot reach.
pub(super) fn is_local(host: &str) -> bool {
    let is_link_local = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    is_loopback(host) || is_localhost(host) || host.parse().is_ok_and(is_link_local)
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Resolves names, and returns only allowed addresses.
///
/// The connector uses exactly these: a second lookup could return an address that was not checked (DNS
/// rebinding).
#[derive(Debug, Clone)]
pub(super) struct Resolver(pub(super) AddressRule);

/// The error of resolving a name.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the name does not resolve")]
    Lookup(#[source] io::Error),
    #[error("the name has no address")]
    Empty,
    #[error("no address of the name is allowed")]
    Refused,
}

impl Resolver {
    async fn resolve(self, name: Name) -> Result<vec::IntoIter<SocketAddr>, ResolveError> {
        // The connector replaces the port.
        let found = tokio::net::lookup_host((name.as_str(), 0)).await;
        let mut addresses: Vec<SocketAddr> = found.map_err(ResolveError::Lookup)?.collect();
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }

        // By address, not by name: a hosts file can map `localhost` to another address.
        addresses.retain(|address| self.0.allows(address.ip()));
        if addresses.is_empty() {
            return Err(ResolveError::Refused);
        }
        Ok(addresses.into_iter())
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ResolveError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name))
    }
}

/// Returns whether an address is on the public internet: not this host, a private network, the cloud's
/// metadata service, or a reserved range.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // The special-purpose ranges of RFC 6890 that `Ipv4Addr` has no stable method for: this
            // network, multicast and reserved, shared (RFC 6598), IETF assignments, benchmarks.
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || a == 0
                || a >= 224
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b & 0xfe) == 18))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Only global unicast, except 6to4 (2002::/16, which embeds IPv4 addresses), IETF
            // assignments such as Teredo (2001::/23), and documentation (2001:db8::/32).
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_private_and_reserved_addresses() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }

        // The task metadata endpoint of ECS.
        let metadata = std::net::Ipv4Addr::from([169, 254, 170, 2]);
        assert!(!is_public(metadata.into()));
    }

    #[test]
    fn accepts_public_addresses() {
        for address in ["1.1.1.1", "52.216.0.1", "2600:1f00::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn checks_literal_addresses_and_names_of_this_host() {
        for host in ["127.0.0.1", "::ffff:10.0.0.1", "localhost", "A.LOCALHOST."] {
            assert!(!AddressRule::Public.allows_host(host), "{host}");
            assert!(AddressRule::Any.allows_host(host), "{host}");
        }
        assert!(AddressRule::Public.allows_host("example.com"));
        assert!(!AddressRule::Loopback.allows_host("1.1.1.1"));
    }

    #[tokio::test]
    async fn checks_the_addresses_that_a_name_resolves_to() {
        let resolve = |rule| Resolver(rule).resolve("localhost".parse().unwrap());
        let refused = resolve(AddressRule::Public).await;
        assert!(matches!(refused, Err(ResolveError::Refused)), "{refused:?}");
        let mut allowed = resolve(AddressRule::Loopback).await.unwrap();
        assert!(allowed.all(|address| address.ip().is_loopback()));
    }

    #[test]
    fn knows_hosts_that_a_proxy_cannot_reach() {
        for host in ["localhost", "127.0.0.9", "::1", "169.254.170.2", "fe80::1"] {
            assert!(is_local(host), "{host}");
        }
        assert!(!is_local("10.0.0.1"));
        assert!(!is_local("localhost.example.com"));
    }
}
