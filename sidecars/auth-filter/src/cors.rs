//! Cross-origin requests of browsers (WHATWG Fetch, "HTTP CORS protocol"): preflights, which carry no
//! credential, and responses to rejected requests, which the page could not read otherwise.
//!
//! Responses of the app are its own: it knows which methods and headers it allows.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HOST, ORIGIN, TRANSFER_ENCODING, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings for cross-origin requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may read the responses to rejected requests, such as
    /// `https://app.example.com`, or `*` alone; none if empty.
    pub origins: Vec<String>,
    /// Lets pages of these origins read them when they sent cookies.
    pub credentials: bool,
    /// Forwards preflights of these origins to the app without a credential.
    pub forward_preflights: bool,
}

/// The accepted origins.
#[derive(Clone, Debug, Default)]
pub struct Cors(Arc<CorsSettings>);

impl CorsSettings {
    /// Returns the first entry that no browser sends as an origin.
    pub(crate) fn invalid_origin(&self) -> Option<&String> {
        let is_valid = |origin: &String| self.is_wildcard() || is_origin(origin);
        self.origins.iter().find(|origin| !is_valid(origin))
    }

    /// Returns whether any origin is accepted.
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(&self.origins[..], [only] if only == "*")
    }
}

impl Cors {
    /// Creates the policy from its settings.
    pub fn new(settings: CorsSettings) -> Self {
        Self(Arc::new(settings))
    }

    /// Returns the origin of a request if it is accepted.
    pub(crate) fn origin(&self, request: &Parts) -> Option<HeaderValue> {
        if self.0.origins.is_empty() {
            return None;
        }
        let origin = single(&request.headers, &ORIGIN)?;
        self.accepts(origin).then(|| origin.clone())
    }

    /// Returns whether a request is a preflight to forward without a credential.
    pub(crate) fn forwards_preflight(&self, request: &Parts) -> bool {
        if !self.0.forward_preflights || request.method != Method::OPTIONS {
            return false;
        }

        let headers = &request.headers;
        // A browser never sends a body with it, and the app must not act on one.
        let length = headers.get(CONTENT_LENGTH);
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || length.is_some_and(|length| length.as_bytes() != b"0");
        !has_body
            && single(headers, &ACCESS_CONTROL_REQUEST_METHOD).is_some()
            && self.origin(request).is_some()
    }

    /// Returns whether a page that sends this request may use the user's cookies: a page of this host,
    /// or of an accepted origin. Browsers send cookies with requests of any page.
    pub(crate) fn may_use_cookies(&self, request: &Parts) -> bool {
        if !request.headers.contains_key(ORIGIN) {
            return true;
        }
        let Some(origin) = single(&request.headers, &ORIGIN) else {
            return false;
        };

        let host = match request.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => request.headers.get(HOST).map(HeaderValue::as_bytes),
        };
        let origin_host = origin.to_str().ok().and_then(|origin| {
            let (_, host) = origin.split_once("://")?;
            Some(host.as_bytes())
        });
        let is_same = host
            .zip(origin_host)
            .is_some_and(|(host, origin)| host.eq_ignore_ascii_case(origin));
        is_same || !self.0.is_wildcard() && self.accepts(origin)
    }

    /// Lets the page at `origin` read a response of this filter.
    pub(crate) fn allow_reading(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        if self.0.origins.is_empty() {
            return;
        }

        // A cache must not give the response for one origin to another, nor that without an origin.
        headers.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = origin else { return };
        let wildcard = self.0.is_wildcard().then(|| HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, wildcard.unwrap_or(origin));
        let exposed = HeaderValue::from_static("www-authenticate, retry-after");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if self.0.credentials && !self.0.is_wildcard() {
            let value = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
        }
    }

    fn accepts(&self, origin: &HeaderValue) -> bool {
        // Compared byte for byte: a browser writes an origin in one way (RFC 6454 section 6.1).
        let mut origins = self.0.origins.iter();
        self.0.is_wildcard() || origins.any(|accepted| accepted.as_bytes() == origin.as_bytes())
    }
}

/// Returns the value of a header that occurs exactly once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Returns whether a text is an origin as browsers write it. `null` is not: any page can have it.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let has_no_path = text.ends_with(authority) && !authority.is_empty();
    let is_plain = !text.contains(['@', '*']) && !text.contains(char::is_uppercase);
    is_http && has_no_path && is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_origins_as_browsers_write_them() {
        for origin in [
            "https://app.test",
            "http://localhost:3000",
            "https://[::1]:1",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "app.test",
            "https://app.test/",
            "https://App.test",
            "https://*.app.test",
            "https://a@app.test",
            "ftp://app.test",
            "https://app.test/x",
            "*",
        ] {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
