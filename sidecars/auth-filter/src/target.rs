//! Request targets: accepted only if all servers interpret them alike.
//!
//! Filters that authorize one interpretation of a path and forward another can be bypassed. So
//! nothing is normalized: an ambiguous target is rejected, and an accepted one is forwarded byte
//! for byte.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};

/// A request target with exactly one interpretation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: Option<Authority>,
    wire: PathAndQuery,
    segments: Vec<String>,
}

/// Why a target is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The target is no path: `*`, or the authority of CONNECT.
    #[error("the target is not an absolute path")]
    Form,
    /// The target is longer than [`Target::MAX_BYTES`].
    #[error("the target is longer than {} bytes", Target::MAX_BYTES)]
    TooLong,
    /// A byte is invalid in a path or query, or servers treat it differently.
    #[error("the target has a byte that servers interpret differently")]
    Byte,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("the target has a broken percent escape")]
    Escape,
    /// An escape encodes a byte that changes the structure of a path.
    #[error("the target encodes a delimiter, a dot or a control byte")]
    Hidden,
    /// The escapes are not UTF-8 once decoded.
    #[error("the target is not UTF-8 once decoded")]
    Utf8,
    /// A segment is `.` or `..`.
    #[error("the target has a dot segment")]
    Dots,
    /// Two slashes follow each other.
    #[error("the target has an empty segment")]
    Empty,
    /// There is not exactly one valid host.
    #[error("the request does not have exactly one valid host")]
    Host,
    /// Target and `Host` contain different authorities.
    #[error("the target and `Host` have different authorities")]
    Authority,
}

impl Target {
    /// Maximum length in bytes; longer targets are rejected unparsed.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Returns the target of a request, which must also have exactly one host.
    pub fn from_request(request: &Parts) -> Result<Self, TargetError> {
        let host = single_host(request)?;
        let wire = request.uri.path_and_query().ok_or(TargetError::Form)?;
        // CONNECT has an authority and no path; the `http` crate then returns an empty one.
        if request.method == http::Method::CONNECT {
            return Err(TargetError::Form);
        }
        Ok(Self {
            host: Some(host),
            ..Self::from_path_and_query(wire.clone())?
        })
    }

    /// Parses a path with an optional query, with or without scheme and host.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        // Checked first: the parser below drops a fragment silently.
        if text.contains('#') {
            return Err(TargetError::Byte);
        }
        let Some((_, rest)) = text.split_once("://").filter(|_| !text.starts_with('/')) else {
            return Self::from_path_and_query(text.parse().map_err(|_| TargetError::Byte)?);
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = parse_authority(host.as_bytes()).ok_or(TargetError::Host)?;
        let path = if path.is_empty() { "/" } else { path };

        Ok(Self {
            host: Some(host),
            ..Self::from_path_and_query(path.parse().map_err(|_| TargetError::Byte)?)?
        })
    }

    fn from_path_and_query(wire: PathAndQuery) -> Result<Self, TargetError> {
        if wire.as_str().len() > Self::MAX_BYTES {
            return Err(TargetError::TooLong);
        }
        if !wire.query().unwrap_or_default().bytes().all(is_query_byte) {
            return Err(TargetError::Byte);
        }

        // `path()` returns a slash that is not on the wire for `?a` and `http://host?a`.
        let path = wire
            .path()
            .strip_prefix('/')
            .filter(|_| wire.as_str().starts_with('/'))
            .ok_or(TargetError::Form)?;
        // The last segment may be empty: a path may end with a slash.
        let last = path.split('/').count() - 1;
        let segments = path
            .split('/')
            .enumerate()
            .map(|(at, text)| {
                decode_segment(
                    text,
                    if at == last {
                        SegmentPosition::Last
                    } else {
                        SegmentPosition::Inner
                    },
                )
            })
            .collect::<Result<_, _>>()?;

        Ok(Self {
            host: None,
            wire,
            segments,
        })
    }

    /// Returns the host as written, without its port, if present.
    pub fn host(&self) -> Option<&str> {
        self.host.as_ref().map(Authority::host)
    }

    /// Returns the received bytes, which are forwarded.
    pub fn wire(&self) -> &PathAndQuery {
        &self.wire
    }

    /// Returns the decoded segments for matching rules. The last one is empty when the path ends
    /// with a slash.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }
}

/// Position of a segment: only the last may be empty, as in `/` and `/photos/`.
#[derive(PartialEq)]
enum SegmentPosition {
    Inner,
    Last,
}

fn decode_segment(text: &str, end: SegmentPosition) -> Result<String, TargetError> {
    if text.is_empty() && end == SegmentPosition::Inner {
        return Err(TargetError::Empty);
    }
    if matches!(text, "." | "..") {
        return Err(TargetError::Dots);
    }

    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match byte {
            b'%' => {
                let [high, low, after @ ..] = rest else {
                    return Err(TargetError::Escape);
                };
                rest = after;
                decode_escape(*high, *low)?
            }
            byte if is_path_byte(*byte) => *byte,
            _ => return Err(TargetError::Byte),
        });
    }

    let decoded = String::from_utf8(decoded).map_err(|_| TargetError::Utf8)?;
    // Checked after decoding, because UTF-8 sequences may be escaped byte by byte.
    if decoded
        .chars()
        .any(|c| c.is_control() || LOOKALIKES.contains(&c))
    {
        Err(TargetError::Hidden)
    } else {
        Ok(decoded)
    }
}

fn decode_escape(high: u8, low: u8) -> Result<u8, TargetError> {
    let digit = |byte: u8| (byte as char).to_digit(16).ok_or(TargetError::Escape);
    let byte = (digit(high)? * 16 + digit(low)?) as u8;
    // Delimiters, dots and `%` itself: a server that decodes twice, or splits after decoding, would
    // see another path.
    let is_ambiguous = byte.is_ascii_control() || b"/\\.;%?#".contains(&byte);
    if is_ambiguous {
        Err(TargetError::Hidden)
    } else {
        Ok(byte)
    }
}

/// Returns whether a byte is allowed in a segment: `pchar` of RFC 3986 without `;`, because some
/// servers remove path parameters and others do not.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
}

/// Returns whether a byte is allowed in a query. Queries are not checked by rules; only bytes that
/// could end them early are rejected.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

fn single_host(request: &Parts) -> Result<Authority, TargetError> {
    let mut values = request.headers.get_all(HOST).iter();
    let host = values.next();
    if values.next().is_some() {
        return Err(TargetError::Host);
    }

    let host = host
        .map(|host| parse_authority(host.as_bytes()).ok_or(TargetError::Host))
        .transpose()?;
    match (host, request.uri.authority()) {
        (None, None) => Err(TargetError::Host),
        // RFC 9112 3.2.2 lets an absolute target override `Host`; not every server does.
        (Some(host), Some(target)) if !host.as_str().eq_ignore_ascii_case(target.as_str()) => {
            Err(TargetError::Authority)
        }
        (None, Some(target)) => {
            parse_authority(target.as_str().as_bytes()).ok_or(TargetError::Host)
        }
        (Some(host), _) => Ok(host),
    }
}

/// Parses a host with an optional port; user information is not allowed.
fn parse_authority(text: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    let valid = !authority.as_str().contains('@') && !authority.host().is_empty();
    // `host:` and `host:99999` parse too, as authorities without a port.
    let has_port = authority.as_str().len() > authority.host().len();
    (valid && has_port == authority.port_u16().is_some()).then_some(authority)
}

/// Characters that Unicode normalization turns into ASCII dots and slashes.
const LOOKALIKES: [char; 8] = [
    '\u{2024}', '\u{2025}', '\u{2026}', '\u{fe52}', '\u{fe68}', '\u{ff0e}', '\u{ff0f}', '\u{ff3c}',
];

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use proptest::prelude::*;

    #[test]
    fn parses_unambiguous_targets() {
        for (text, segments) in [
            ("/", vec![""]),
            ("/v1/coins", vec!["v1", "coins"]),
            ("/v1/coins/", vec!["v1", "coins", ""]),
            ("/v1/coins?at=50%25&x=/../", vec!["v1", "coins"]),
            ("/caf%C3%A9/a%20b", vec!["café", "a b"]),
            ("/%61dmin", vec!["admin"]),
            (
                "/.well-known/a.b...c/..x",
                vec![".well-known", "a.b...c", "..x"],
            ),
            ("/~ada/(1)!$&'*+,=:@", vec!["~ada", "(1)!$&'*+,=:@"]),
        ] {
            let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(target.segments(), segments, "{text}");
            assert_eq!(target.wire().as_str(), text);
        }
    }

    #[test]
    fn rejects_ambiguous_targets() {
        for (text, error) in [
            ("/public/../admin", TargetError::Dots),
            ("/public/..", TargetError::Dots),
            ("/./admin", TargetError::Dots),
            ("/public/%2e%2e/admin", TargetError::Hidden),
            ("/public/.%2e/admin", TargetError::Hidden),
            ("/public/%2E./admin", TargetError::Hidden),
            // Encoded twice: a second decoder would see dots.
            ("/public/%252e%252e/admin", TargetError::Hidden),
            ("/public/..;/admin", TargetError::Byte),
            ("/public/..%3b/admin", TargetError::Hidden),
            ("/admin;a=b/", TargetError::Byte),
            ("/public;/../admin", TargetError::Byte),
            ("//admin", TargetError::Empty),
            ("/public//admin", TargetError::Empty),
            ("///", TargetError::Empty),
            ("/public/%2fadmin", TargetError::Hidden),
            ("/public%2F..%2Fadmin", TargetError::Hidden),
            ("/public/%5c../admin", TargetError::Hidden),
            ("/public\\..\\admin", TargetError::Byte),
            ("/public/%00", TargetError::Hidden),
            ("/admin%0d%0aX-Auth-Subject:root", TargetError::Hidden),
            ("/admin%7f", TargetError::Hidden),
            // Overlong UTF-8 for a dot and a slash.
            ("/public/%c0%ae%c0%ae/admin", TargetError::Utf8),
            ("/public/%c0%af", TargetError::Utf8),
            ("/public/%e0%80%ae", TargetError::Utf8),
            // Fullwidth slash and dots, NEL, and IIS's `%u` escapes.
            ("/public/%ef%bc%8fadmin", TargetError::Hidden),
            ("/public/%ef%bc%8e%ef%bc%8e/admin", TargetError::Hidden),
            ("/public/%c2%85", TargetError::Hidden),
            ("/public/%u002e%u002e/admin", TargetError::Escape),
            ("/public/%", TargetError::Escape),
            ("/public/%2", TargetError::Escape),
            ("/public/%zz", TargetError::Escape),
            ("/public/%+1", TargetError::Escape),
            ("/public#/../admin", TargetError::Byte),
            ("/public?a#b", TargetError::Byte),
            ("/public%23/admin", TargetError::Hidden),
            ("/public%3f/admin", TargetError::Hidden),
            ("/a{b}", TargetError::Byte),
            ("/a|b", TargetError::Byte),
            ("/caf\u{e9}", TargetError::Byte),
            ("*", TargetError::Form),
            ("?a", TargetError::Form),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }

        let long = format!("/{}", "a".repeat(Target::MAX_BYTES));
        assert_eq!(Target::parse(&long), Err(TargetError::TooLong));
    }

    fn target(uri: &str, hosts: &[&str]) -> Result<Target, TargetError> {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        Target::from_request(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn requires_exactly_one_valid_host() {
        for hosts in [
            &["a.test"][..],
            &["a.test:8080"],
            &["127.0.0.1:1"],
            &["[::1]:8080"],
        ] {
            assert!(target("/", hosts).is_ok(), "{hosts:?}");
        }

        for hosts in [
            &[][..],
            // Even equal duplicates: servers differ in which one they use.
            &["a.test", "a.test"],
            &["a.test", "b.test"],
            &[""],
            &["a b"],
            &["a.test:"],
            &["a.test:99999"],
            &["a.test:x"],
            &["u@a.test"],
            &["a.test, b.test"],
            &["a.test/x"],
        ] {
            assert_eq!(target("/", hosts), Err(TargetError::Host), "{hosts:?}");
        }
    }

    #[test]
    fn absolute_target_must_match_the_host() {
        assert!(target("http://a.test/x", &["a.test"]).is_ok());
        assert!(target("http://a.test/x", &["A.TEST"]).is_ok());
        assert!(target("http://a.test/x", &[]).is_ok(), "as in HTTP/2");
        assert_eq!(
            target("http://b.test/x", &["a.test"]),
            Err(TargetError::Authority)
        );
        assert_eq!(
            target("http://a.test:81/x", &["a.test"]),
            Err(TargetError::Authority)
        );

        assert_eq!(target("http://u@a.test/x", &[]), Err(TargetError::Host));
        assert_eq!(
            target("http://a.test?x", &["a.test"]),
            Err(TargetError::Form)
        );
        assert_eq!(
            target("http://a.test", &["a.test"])
                .unwrap()
                .wire()
                .as_str(),
            "/"
        );
    }

    proptest! {
        #[test]
        fn keeps_the_target_byte_for_byte(text in "/[ -~]{0,40}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(target.wire().as_str(), text);
            }
        }

        #[test]
        fn decoding_twice_or_resolving_dots_changes_nothing(
            text in "(/(\\.{1,3}|%2[0-9a-fA-F]|%5[cC]|%[0-9a-f]{2}|[a-c.;%\\\\]){0,4}){1,4}"
        ) {
            if let Ok(target) = Target::parse(&text) {
                let segments = target.segments();
                prop_assert!(segments.iter().all(|s| s != "." && s != ".." && !s.contains(['/', '\\', '%'])));
                prop_assert!(segments[..segments.len() - 1].iter().all(|s| !s.is_empty()));
            }
        }
    }
}
