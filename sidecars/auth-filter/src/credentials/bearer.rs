//! The token in a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::rejection::Rejection;

/// The bearer token of a request; only ever from `Authorization`, never from a query or a cookie,
/// which end up in logs and are sent by browsers on their own.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Rejection::NoToken)?;

    // Of two, the filter would judge one and the app might believe the other.
    if values.next().is_some() {
        return Err(Rejection::Authorization);
    }

    let value = value.as_bytes();
    let at = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (scheme, token) = value.split_at(at);

    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(Rejection::NoToken);
    }

    let token = token.trim_ascii_start();
    if token.is_empty() || !token.iter().copied().all(is_token_byte) {
        return Err(Rejection::Authorization);
    }

    Ok(token)
}

/// The `token68` of RFC 9110 11.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Result<Vec<u8>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        bearer_token(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn ignores_the_case_of_the_scheme() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c"] {
            assert_eq!(parse(&[value]).unwrap(), b"a.b.c", "{value}");
        }
    }

    #[test]
    fn distinguishes_missing_from_malformed_tokens() {
        for values in [
            &[][..],
            &["Basic YTpi"],
            &["Digest x"],
            &["Bearera.b.c"],
            &[""],
        ] {
            assert!(
                matches!(parse(values), Err(Rejection::NoToken)),
                "{values:?}"
            );
        }

        for values in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a,b"],
            &["Bearer a.b.c, Bearer d.e.f"],
            &["Bearer a.b.c", "Bearer a.b.c"],
            &["Basic YTpi", "Bearer a.b.c"],
        ] {
            assert!(
                matches!(parse(values), Err(Rejection::Authorization)),
                "{values:?}"
            );
        }
    }
}
