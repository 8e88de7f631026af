//! Who a request is from, as the app is told: by headers that nobody but this filter can set.

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::identity::Identity;

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

/// Tells the app who the request is from. What cannot stand in a header is left out.
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
    let always = [
        (SUBJECT, identity.subject.as_deref()),
        (ISSUER, Some(identity.issuer.as_str())),
        (
            SCOPES,
            Some(scopes.as_str()).filter(|scopes| !scopes.is_empty()),
        ),
        (CLIENT, identity.client.as_deref()),
    ];

    let always = always
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.and_then(header_value)?)));
    let claims = claims.iter().filter_map(|(name, claim)| {
        let value = claim_text(identity.claims.get(claim)?)?;
        Some((name.clone(), header_value(&value)?))
    });

    always.chain(claims).collect()
}

/// Which claims the app is told, each in which header.
pub(crate) type ClaimHeaders = Vec<(HeaderName, String)>;

/// The header `x-auth-…` for a claim; `None` for a name that is no header or that has a meaning already.
pub(crate) fn claim_header_name(name: &str) -> Option<HeaderName> {
    let header: HeaderName = format!("x-auth-{}", name.to_ascii_lowercase())
        .parse()
        .ok()?;
    let taken = [SUBJECT, ISSUER, SCOPES, CLIENT, TOKEN];
    let valid = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (valid && !name.is_empty() && !taken.contains(&header)).then_some(header)
}

/// A claim as text: a list with spaces between its members, which then may have none in them.
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

/// Removes the token itself: the app has no use for it and could only lose it.
pub(crate) fn remove_token(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
}

/// A value that arrives as it left: visible ASCII and spaces inside, not longer than any name is.
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

/// Many servers read `X_Auth_Subject` and `X.Auth.Subject` as `X-Auth-Subject`, so names are compared
/// with everything but letters and digits made the same.
fn is_reserved(name: &str) -> bool {
    // Most names are none of these by their first letter already.
    if !matches!(name.as_bytes().first(), Some(b'x' | b'c' | b'r' | b'h')) {
        return false;
    }

    let begins = |prefix: &&str| {
        let begin = name.as_bytes().get(..prefix.len());
        begin.is_some_and(|begin| is_same(begin, prefix))
    };

    RESERVED_PREFIXES.iter().any(begins)
        || RESERVED
            .iter()
            .any(|reserved| is_same(name.as_bytes(), reserved))
}

/// Header names come in lower case; what is neither letter nor digit in them counts as `-`.
fn is_same(name: &[u8], reserved: &str) -> bool {
    let normalize = |byte: &u8| {
        if byte.is_ascii_alphanumeric() {
            *byte
        } else {
            b'-'
        }
    };
    name.len() == reserved.len() && name.iter().map(normalize).eq(reserved.bytes())
}

pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const ISSUER: HeaderName = HeaderName::from_static("x-auth-issuer");
pub(crate) const SCOPES: HeaderName = HeaderName::from_static("x-auth-scopes");
pub(crate) const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");
pub(crate) const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

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
    use crate::identity::Credential;
    use serde_json::json;

    #[test]
    fn formats_claims_as_headers_or_omits_them() {
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
