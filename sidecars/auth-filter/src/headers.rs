//! Identity headers for the app, which only this filter can set.

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::credentials::CERTIFICATE_HEADER;
use crate::identity::Identity;

/// Removes every header that the app could mistake for one of this filter, or that could change the
/// target or method the app serves.
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

/// Sets the identity headers. Values that are not valid in a header are omitted.
pub(crate) fn set_identity(headers: &mut HeaderMap, identity: &Identity, claims: &ClaimHeaders) {
    let lines = identity
        .headers
        .get_or_init(|| format_headers(identity, claims));
    for (name, value) in lines {
        headers.insert(name, value.clone());
    }
}

fn format_headers(identity: &Identity, claims: &ClaimHeaders) -> Vec<(HeaderName, HeaderValue)> {
    let scopes = identity.scopes.join(" ");
    // A missing value leaves out its header, rather than sending an empty one.
    let standard = [
        (SUBJECT, identity.subject.as_deref()),
        (ISSUER, Some(identity.issuer.as_str())),
        (
            SCOPES,
            Some(scopes.as_str()).filter(|scopes| !scopes.is_empty()),
        ),
        (CLIENT, identity.client.as_deref()),
    ];

    let standard = standard
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.and_then(header_value)?)));
    let claims = claims.iter().filter_map(|(name, claim)| {
        let value = claim_text(identity.claims.get(claim)?)?;
        Some((name.clone(), header_value(&value)?))
    });

    standard.chain(claims).collect()
}

/// The headers for claims: header name and claim name.
pub(crate) type ClaimHeaders = Vec<(HeaderName, String)>;

/// Returns the header `x-auth-NAME` for a claim, or `None` for an invalid or reserved name.
pub(crate) fn claim_header_name(name: &str) -> Option<HeaderName> {
    let header: HeaderName = format!("x-auth-{}", name.to_ascii_lowercase())
        .parse()
        .ok()?;
    let reserved = [SUBJECT, ISSUER, SCOPES, CLIENT, TOKEN];
    let valid = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (valid && !name.is_empty() && !reserved.contains(&header)).then_some(header)
}

/// Formats a claim. A list is joined with spaces; members that contain a space make it unusable.
fn claim_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(list) => {
            let members = list.iter().map(|member| match member {
                Value::Array(_) => None,
                member => claim_text(member).filter(|text| !text.contains(' ')),
            });
            Some(members.collect::<Option<Vec<_>>>()?.join(" "))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Removes a header in every spelling that a careless app could mistake for `name`.
pub(crate) fn remove_spellings(headers: &mut HeaderMap, name: &HeaderName) {
    let spellings: Vec<HeaderName> = headers
        .keys()
        .filter(|known| is_same(known.as_str().as_bytes(), name.as_str()))
        .cloned()
        .collect();
    for spelling in spellings {
        headers.remove(spelling);
    }
}

/// Removes the token: the app does not need it and could leak it.
pub(crate) fn remove_token(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
}

/// Returns the header value if it is visible ASCII with inner spaces only and not too long.
fn header_value(value: &str) -> Option<HeaderValue> {
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

/// Returns whether a name is reserved. CGI-style servers read `X_Auth_Subject` and `X.Auth.Subject`
/// as `X-Auth-Subject`, so all bytes but letters and digits are treated alike.
fn is_reserved(name: &str) -> bool {
    // Fast path: no reserved name starts with another letter.
    if !matches!(
        name.as_bytes().first(),
        Some(b'x' | b'c' | b'r' | b'h' | b'p')
    ) {
        return false;
    }

    let begins = |prefix: &&str| {
        let begin = name.as_bytes().get(..prefix.len());
        begin.is_some_and(|begin| is_same(begin, prefix))
    };

    // The certificate of the proxy in this task has this name exactly; see `filter.rs`.
    let is_other_spelling =
        || name != CERTIFICATE_HEADER && is_same(name.as_bytes(), CERTIFICATE_HEADER.as_str());

    RESERVED_PREFIXES.iter().any(begins)
        || is_other_spelling()
        || RESERVED
            .iter()
            .any(|reserved| is_same(name.as_bytes(), reserved))
}

/// Compares a lower-case header name; bytes that are neither letters nor digits count as `-`.
fn is_same(name: &[u8], reserved: &str) -> bool {
    let normalize = |byte: &u8| {
        if byte.is_ascii_alphanumeric() {
            *byte
        } else {
            b'-'
        }
    };
    name.len() == reserved.len()
        && name
            .iter()
            .map(normalize)
            .eq(reserved.as_bytes().iter().map(normalize))
}

pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
pub(crate) const ISSUER: HeaderName = HeaderName::from_static("x-auth-issuer");
pub(crate) const SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
pub(crate) const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

const MAX_VALUE: usize = 2048;

/// The prefixes of this filter and of other products, which an app may still trust.
const RESERVED_PREFIXES: &[&str] = &[
    "x-auth-",
    "x-authenticated-",
    "x-amzn-oidc-",
    // Client certificates as a load balancer and nginx forward them.
    "x-amzn-mtls-",
    "x-ssl-client-",
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
    // These make an app act on another target or method than the authorized one.
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
    // Becomes the variable `HTTP_PROXY` of a CGI program ("httpoxy", CVE-2016-5385).
    "proxy",
    // Only used in an upgrade to h2c (RFC 7540 3.2.1).
    "http2-settings",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Credential;
    use serde_json::json;

    #[test]
    fn formats_claims_as_headers_or_omits_them() {
        // Objects, members with spaces and control characters cannot become header values.
        let claims = [
            ("email", json!("ada@a.test")),
            ("groups", json!(["ops", "dev"])),
            ("verified", json!(true)),
            ("level", json!(3)),
            ("address", json!({"street": "x"})),
            ("teams", json!(["a b", "c"])),
            ("evil", json!("a\r\nx-auth-subject: root")),
        ];

        let mut with_claims = identity("ada");
        with_claims.claims = claims
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();

        let claim_headers = claims
            .iter()
            .map(|(name, _)| (claim_header_name(name).unwrap(), (*name).to_owned()))
            .collect();
        let mut headers = HeaderMap::new();

        set_identity(&mut headers, &with_claims, &claim_headers);
        assert_eq!(headers["x-auth-email"], "ada@a.test");
        assert_eq!(headers["x-auth-groups"], "ops dev");
        assert_eq!(headers["x-auth-verified"], "true");
        assert_eq!(headers["x-auth-level"], "3");
        for absent in ["x-auth-address", "x-auth-teams", "x-auth-evil"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }

        // Empty, reserved, and names with bytes that servers normalize.
        for name in ["", "subject", "Scopes", "token", "a b", "a_b", "a:b"] {
            assert!(claim_header_name(name).is_none(), "{name}");
        }
    }

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

    fn identity(subject: &str) -> Identity {
        Identity {
            scopes: vec!["a".into(), "b".into()],
            client: Some("web".into()),
            ..Identity::new(
                Credential::Token,
                Some(subject.into()),
                "https://issuer.test".into(),
            )
        }
    }

    #[test]
    fn strips_every_spelling_of_a_reserved_name() {
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
    fn recognizes_every_reserved_name() {
        for name in RESERVED.iter().chain(RESERVED_PREFIXES) {
            assert!(is_reserved(name), "{name}");
        }
    }

    #[test]
    fn keeps_similar_names() {
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
    fn sets_identity_headers() {
        let mut headers = HeaderMap::new();
        set_identity(
            &mut headers,
            &identity("ada lovelace"),
            &ClaimHeaders::new(),
        );

        let lines: Vec<_> = headers
            .iter()
            .map(|(n, v)| format!("{n}: {}", v.to_str().unwrap()))
            .collect();

        assert_eq!(
            lines,
            [
                "x-auth-subject: ada lovelace",
                "x-auth-issuer: https://issuer.test",
                "x-auth-scopes: a b",
                "x-auth-client: web",
            ]
        );
    }

    #[test]
    fn omits_values_invalid_in_a_header() {
        // One byte over the limit; the others are control characters, padding and non-ASCII.
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
            set_identity(&mut headers, &identity(subject), &ClaimHeaders::new());
            assert!(!headers.contains_key(SUBJECT), "{subject:?}");
            assert_eq!(headers[CLIENT], "web");
        }
    }
}
