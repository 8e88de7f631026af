//! Hop-by-hop headers (RFC 9110 section 7.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Removes the hop-by-hop headers, including those named in `Connection`.
///
/// `Connection` cannot remove end-to-end headers: naming `host`, `content-length` or `authorization`
/// there is an attempt to hide them from the next hop, and is ignored.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let connection_options: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // An invalid name cannot name a header that was parsed.
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !is_end_to_end(name))
        .collect();
    for name in connection_options.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Joins several `Cookie` fields into one, as RFC 9113 section 8.2.3 requires before a request is
/// passed from HTTP/2 to HTTP/1.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes);
    let Some(first) = lines.next() else { return };
    let joined = lines.fold(first.to_vec(), |joined, line| {
        [&joined, line].join(&b"; "[..])
    });

    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(header::COOKIE, joined);
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name) || name.as_str().starts_with("x-forwarded-")
}

/// RFC 9110 section 7.6.1, and the obsolete `Keep-Alive` and `Proxy-Connection`.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that authorize, frame or trace a message; clients must not be able to remove them.
const END_TO_END: [HeaderName; 9] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::COOKIE,
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn names_after_strip(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<String> = headers.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn joins_several_cookie_fields() {
        let mut headers = HeaderMap::new();
        join_cookies(&mut headers);
        assert!(headers.is_empty());
        for cookie in ["a=1", "b=2", "c=3"] {
            headers.append(header::COOKIE, cookie.parse().unwrap());
        }
        join_cookies(&mut headers);
        let lines: Vec<_> = headers.get_all(header::COOKIE).iter().collect();
        assert_eq!(lines, ["a=1; b=2; c=3"]);
    }

    #[test]
    fn removes_hop_by_hop_headers() {
        let left = names_after_strip(&[
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("accept", "*/*"),
        ]);
        assert_eq!(left, ["accept"]);
    }

    #[test]
    fn removes_the_headers_named_in_every_connection_field() {
        let left = names_after_strip(&[
            // Header names are case-insensitive, and the field may be repeated.
            ("connection", "close, X-One"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
        ]);
        assert_eq!(left, ["x-three"]);
    }

    #[test]
    fn connection_cannot_remove_end_to_end_headers() {
        let left = names_after_strip(&[
            ("connection", "authorization, host, x-forwarded-for"),
            ("authorization", "Bearer x"),
            ("host", "a"),
            ("x-forwarded-for", "1.2.3.4"),
        ]);
        assert_eq!(left, ["authorization", "host", "x-forwarded-for"]);
    }
}
