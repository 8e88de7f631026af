//! Refuses requests that a web page could send. A browser sends `Origin` or `Sec-Fetch-Site`, and after DNS rebinding
//! a `Host` that is not a loopback name; no AWS client sends any of these.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// Returns why the request is refused, or `None`.
pub(crate) fn find_refusal(headers: &HeaderMap) -> Option<&'static str> {
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Some("requests of web pages are refused");
    }
    // After DNS rebinding a page reaches this port, but its browser still sends the name of the page.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    match host {
        Some(host) if is_loopback(host) => None,
        _ => Some("the Host header must be a loopback name, such as 127.0.0.1 or localhost"),
    }
}

/// Returns whether `host[:port]` is a loopback address, `localhost`, or a name below `localhost`, which resolves to
/// loopback everywhere (RFC 6761, section 6.3).
fn is_loopback(host: &str) -> bool {
    // An IPv6 address has colons too, but its last part is followed by `]`.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    // Host names are compared without case (RFC 4343).
    let lower = name.to_ascii_lowercase();
    address.is_ok_and(|address| address.is_loopback())
        || lower == "localhost"
        || lower.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                hyper::header::HeaderName::from_static(name),
                value.parse().unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn accepts_loopback_names_only() {
        for host in [
            "127.0.0.1:4566",
            "localhost",
            "LOCALHOST:80",
            "ecs.localhost:1",
            "[::1]:4566",
            "127.3.2.1",
        ] {
            assert_eq!(find_refusal(&headers(&[("host", host)])), None, "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "localhost.evil.example",
            "",
        ] {
            assert!(
                find_refusal(&headers(&[("host", host)])).is_some(),
                "{host}"
            );
        }
        assert!(find_refusal(&headers(&[])).is_some());
    }

    #[test]
    fn refuses_every_origin() {
        for (name, value) in [
            ("origin", "http://localhost:3000"),
            ("origin", "null"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let refused = find_refusal(&headers(&[("host", "localhost"), (name, value)]));
            assert!(refused.is_some(), "{name}: {value}");
        }
    }
}
