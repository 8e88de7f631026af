//! Where a bearer token may come from besides `Authorization`, and how it is removed from there.
//!
//! All of these are for clients that cannot set `Authorization`: pages with a session cookie, links,
//! and WebSockets of browsers.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bearer::{bearer_token, is_token};
use crate::cors::Cors;
use crate::rejection::Rejection;

/// Settings for further places of bearer tokens; each is removed from forwarded requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSourceSettings {
    /// Name of a cookie that carries a token; only for pages of the same host or of `cors.origins`.
    pub cookie: Option<String>,
    /// Name of a query parameter that carries a token, such as `access_token`. Queries end up in logs.
    pub query: Option<String>,
    /// Beginning of the WebSocket subprotocol that carries a token, such as `access_token.`.
    pub websocket_protocol: Option<String>,
}

/// The places of bearer tokens.
#[derive(Clone, Debug, Default)]
pub struct TokenSources {
    settings: TokenSourceSettings,
    cors: Cors,
}

impl TokenSourceSettings {
    /// Returns the first setting with a name that cannot occur there.
    pub(crate) fn invalid(&self) -> Option<&'static str> {
        let is_name = |name: &String| !name.is_empty() && name.bytes().all(is_name_byte);
        [
            ("token_sources.cookie", &self.cookie),
            ("token_sources.query", &self.query),
            ("token_sources.websocket_protocol", &self.websocket_protocol),
        ]
        .into_iter()
        .find(|(_, name)| name.as_ref().is_some_and(|name| !is_name(name)))
        .map(|(setting, _)| setting)
    }
}

impl TokenSources {
    /// Creates the sources; `cors` decides which pages may use a cookie.
    pub fn new(settings: TokenSourceSettings, cors: Cors) -> Self {
        Self { settings, cors }
    }

    /// Returns the token of a request from the one place that has one.
    pub(crate) fn token<'r>(&self, request: &'r Parts) -> Result<Cow<'r, [u8]>, Rejection> {
        if self.settings == TokenSourceSettings::default() {
            return bearer_token(&request.headers).map(Cow::Borrowed);
        }

        let in_header = match bearer_token(&request.headers) {
            Ok(token) => Some(Cow::Borrowed(token)),
            Err(Rejection::NoToken) => None,
            Err(rejection) => return Err(rejection),
        };
        let in_cookies = self.cookies(&request.headers);
        if !in_cookies.is_empty() && !self.cors.may_use_cookies(request) {
            return Err(Rejection::Origin);
        }

        let mut found = in_header
            .into_iter()
            .chain(in_cookies.into_iter().map(Cow::Borrowed))
            .chain(self.parameters(request).into_iter().map(Cow::Owned))
            .chain(self.protocols(request).into_iter().map(Cow::Borrowed));
        let token = found.next().ok_or(Rejection::NoToken)?;
        // RFC 6750 section 2: one method per request. With two tokens, the filter could verify one
        // and the app use the other.
        if found.next().is_some() || !is_token(&token) {
            return Err(Rejection::Authorization);
        }

        Ok(token)
    }

    /// Removes the places of tokens from the headers for the app.
    pub(crate) fn strip_headers(&self, headers: &mut HeaderMap) {
        if let Some(name) = &self.settings.cookie {
            let is_kept = |pair: &[u8]| cookie_value(pair, name).is_none();
            strip_list(headers, &COOKIE, b';', "; ", is_kept);
        }
        if let Some(prefix) = &self.settings.websocket_protocol {
            let is_kept = |protocol: &[u8]| !protocol.starts_with(prefix.as_bytes());
            strip_list(headers, &SEC_WEBSOCKET_PROTOCOL, b',', ", ", is_kept);
        }
    }

    /// Removes the query parameter from the target for the app; the rest stays byte for byte.
    pub(crate) fn strip_query(&self, wire: PathAndQuery) -> PathAndQuery {
        let (Some(name), Some(query)) = (&self.settings.query, wire.query()) else {
            return wire;
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|parameter| parameter_value(parameter, name).is_none())
            .collect();
        if kept.len() == query.split('&').count() {
            return wire;
        }

        let target = if kept.is_empty() {
            wire.path().to_owned()
        } else {
            format!("{}?{}", wire.path(), kept.join("&"))
        };
        // A part of a valid query is a valid query.
        target.parse().unwrap_or(wire)
    }

    /// Returns the values of the cookie. A cookie without a value is a deleted one.
    fn cookies<'h>(&self, headers: &'h HeaderMap) -> Vec<&'h [u8]> {
        let Some(name) = &self.settings.cookie else {
            return Vec::new();
        };
        let cookies = headers.get_all(COOKIE).iter();
        let pairs = cookies.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        pairs
            .filter_map(|pair| cookie_value(pair, name))
            .filter(|value| !value.is_empty())
            .collect()
    }

    fn parameters(&self, request: &Parts) -> Vec<Vec<u8>> {
        let Some(name) = &self.settings.query else {
            return Vec::new();
        };
        let parameters = request.uri.query().unwrap_or_default().split('&');
        parameters
            .filter_map(|parameter| parameter_value(parameter, name))
            .collect()
    }

    fn protocols<'h>(&self, request: &'h Parts) -> Vec<&'h [u8]> {
        // `Upgrade` is removed before the filter; this header is sent for WebSockets only (RFC 6455
        // section 4.1).
        let is_websocket = request.headers.contains_key(SEC_WEBSOCKET_KEY);
        let Some(prefix) = self
            .settings
            .websocket_protocol
            .as_ref()
            .filter(|_| is_websocket)
        else {
            return Vec::new();
        };

        let lines = request.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let protocols = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        protocols
            .filter_map(|protocol| protocol.trim_ascii().strip_prefix(prefix.as_bytes()))
            .collect()
    }
}

/// Returns the value of a cookie pair with this name.
fn cookie_value<'p>(pair: &'p [u8], name: &str) -> Option<&'p [u8]> {
    let at = pair.iter().position(|byte| *byte == b'=')?;
    let (known, value) = pair.split_at(at);
    (known.trim_ascii() == name.as_bytes()).then(|| value[1..].trim_ascii())
}

/// Returns the decoded value of a parameter with this name, which may be escaped too: the app would
/// decode it.
fn parameter_value(parameter: &str, name: &str) -> Option<Vec<u8>> {
    let (known, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    (decode(known) == name.as_bytes()).then(|| decode(value))
}

/// Decodes percent escapes. A broken one stays as it is, and is no part of a token.
fn decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let escaped = (*byte == b'%').then(|| digit(0).zip(digit(1))).flatten();
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        decoded.push(escaped.unwrap_or(*byte));
        rest = escaped.map_or(after, |_| &after[2..]);
    }

    decoded
}

/// Removes entries from all lines of a list header; a line without entries disappears.
fn strip_list(
    headers: &mut HeaderMap,
    name: &HeaderName,
    separator: u8,
    joint: &str,
    is_kept: impl Fn(&[u8]) -> bool,
) {
    let entries = |line: &HeaderValue| {
        let parts = line.as_bytes().split(move |byte| *byte == separator);
        parts
            .map(|part| part.trim_ascii().to_vec())
            .collect::<Vec<_>>()
    };
    let lines: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    let is_touched = |line: &HeaderValue| entries(line).iter().any(|entry| !is_kept(entry));
    if !lines.iter().any(is_touched) {
        return;
    }

    headers.remove(name);
    for line in lines {
        let kept: Vec<_> = entries(&line)
            .into_iter()
            .filter(|entry| is_kept(entry))
            .collect();
        let value = HeaderValue::from_bytes(&kept.join(joint.as_bytes()));
        if let (false, Ok(value)) = (kept.is_empty(), value) {
            headers.append(name, value);
        }
    }
}

/// Returns whether a byte is allowed in the name of a cookie or subprotocol, and unescaped in a query.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> TokenSources {
        let settings = TokenSourceSettings {
            cookie: Some("session".into()),
            query: Some("access_token".into()),
            websocket_protocol: None,
        };
        TokenSources::new(settings, Cors::default())
    }

    #[test]
    fn removes_the_parameter_and_nothing_else() {
        for (target, expected) in [
            ("/a?access_token=x", "/a"),
            ("/a?b=%20&access_token=x&c", "/a?b=%20&c"),
            ("/a?access%5Ftoken=x&b", "/a?b"),
            ("/a?access_token", "/a"),
            ("/a?", "/a?"),
            ("/a?&&b", "/a?&&b"),
            ("/a?my_access_token=x", "/a?my_access_token=x"),
        ] {
            let stripped = sources().strip_query(target.parse().unwrap());
            assert_eq!(stripped.as_str(), expected, "{target}");
        }
    }

    #[test]
    fn removes_the_cookie_and_nothing_else() {
        for (lines, expected) in [
            (&["session=x"][..], &[][..]),
            (&["a=1; session=x;b=2"], &["a=1; b=2"]),
            (&["session=x; session=y", "a=1"], &["a=1"]),
            (&["a=1;b=2"], &["a=1;b=2"]),
            (&[" session = x"], &[]),
            (&["xsession=x"], &["xsession=x"]),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            sources().strip_headers(&mut headers);
            let kept: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(kept, expected, "{lines:?}");
        }
    }
}
