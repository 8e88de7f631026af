//! Who a request is from, as the app is told: by headers that nobody but this filter can set.

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::claims::Claims;

/// Removes every header that could pass for a verdict of this filter, or turn the request into
/// another one than was judged.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_reserved(name.as_str()))
        .cloned()
        .collect();
    for name in foreign {
        headers.remove(name);
    }
}

/// Tells the app who the token is about. What cannot stand in a header is left out.
pub(crate) fn set(headers: &mut HeaderMap, claims: &Claims) {
    let scopes = claims.scopes.join(" ");
    for (name, value) in [
        (SUBJECT, claims.subject.as_deref()),
        (ISSUER, Some(claims.issuer.as_str())),
        (
            SCOPES,
            Some(scopes.as_str()).filter(|scopes| !scopes.is_empty()),
        ),
        (CLIENT, claims.client.as_deref()),
    ] {
        if let Some(value) = value.and_then(plain) {
            headers.insert(name, value);
        }
    }
}

/// Removes the token itself: the app has no use for it and could only lose it.
pub(crate) fn remove_token(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
}

/// A value that arrives as it left: visible ASCII and spaces inside, not longer than any name is.
fn plain(value: &str) -> Option<HeaderValue> {
    let visible = value
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let whole = !value.is_empty() && value.trim() == value && value.len() <= MAX_VALUE;
    if visible && whole {
        HeaderValue::from_str(value).ok()
    } else {
        None
    }
}

/// Many servers read `X_Auth_Subject` and `X.Auth.Subject` as `X-Auth-Subject`, so names are compared
/// with everything but letters and digits made the same.
fn is_reserved(name: &str) -> bool {
    let normal: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    RESERVED_PREFIXES
        .iter()
        .any(|prefix| normal.starts_with(prefix))
        || RESERVED.contains(&normal.as_str())
}

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const ISSUER: HeaderName = HeaderName::from_static("x-auth-issuer");
const SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");

const MAX_VALUE: usize = 2048;

/// Ours, and what other filters call theirs: an app that was behind one may still believe them.
const RESERVED_PREFIXES: &[&str] = &[
    "x-auth-",
    "x-authenticated-",
    "x-amzn-oidc-",
    "x-jwt-",
    "cf-access-",
];

const RESERVED: &[&str] = &[
    "x-user",
    "x-user-id",
    "x-email",
    "x-groups",
    "x-roles",
    "x-remote-user",
    "remote-user",
    "x-webauth-user",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    // These tell an app to act as if another target or method had been asked for.
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-envoy-original-path",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-forwarded-method",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    // Only a hop that upgrades has use for it.
    "http2-settings",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_static("root"),
            );
        }
        headers
    }

    fn claims(subject: &str) -> Claims {
        Claims {
            subject: Some(subject.into()),
            issuer: "https://issuer.test".into(),
            scopes: vec!["a".into(), "b".into()],
            client: Some("web".into()),
        }
    }

    #[test]
    fn strips_every_writing_of_a_reserved_name() {
        for name in [
            "x-auth-subject",
            "X-AUTH-SUBJECT",
            "X_Auth_Subject",
            "x.auth.subject",
            "x-auth_subject",
            "x~auth~subject",
            "x-auth-anything",
            "X-Amzn-Oidc-Data",
            "x_forwarded_user",
            "X-Original-URL",
            "X-HTTP-Method-Override",
        ] {
            let mut headers = headers(&[name, name, "accept"]);
            strip(&mut headers);
            assert_eq!(
                headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
                ["accept"]
            );
        }
    }

    #[test]
    fn leaves_what_only_looks_alike() {
        let names = [
            "x-author",
            "x-forwarded-for",
            "x-forwarded-proto",
            "xauth-subject",
            "auth",
        ];
        let mut headers = headers(&names);
        strip(&mut headers);
        assert_eq!(headers.len(), names.len());
    }

    #[test]
    fn says_who_the_token_is_about() {
        let mut headers = HeaderMap::new();
        set(&mut headers, &claims("ada lovelace"));
        let told: Vec<_> = headers
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                "x-auth-subject: ada lovelace",
                "x-auth-issuer: https://issuer.test",
                "x-auth-scopes: a b",
                "x-auth-client: web",
            ]
        );
    }

    #[test]
    fn leaves_out_what_cannot_stand_in_a_header() {
        let long = "x".repeat(MAX_VALUE + 1);
        for subject in [
            "",
            " ada",
            "ada ",
            "a\r\nx-auth-scopes: admin",
            "a\nb",
            "a\0b",
            "a\tb",
            "adä",
            &long,
        ] {
            let mut headers = HeaderMap::new();
            set(&mut headers, &claims(subject));
            assert!(!headers.contains_key(SUBJECT), "{subject:?}");
            assert_eq!(headers[CLIENT], "web");
        }
    }
}
