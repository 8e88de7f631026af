//! The bearer token of a request.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::rejection::Rejection;

/// Returns the bearer token from `Authorization`; see `token_sources.rs` for other places.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Rejection::NoToken)?;

    // With two, the filter could verify one and the app use the other.
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

    // RFC 9110 11.4 allows several spaces after the scheme.
    let token = token.trim_ascii_start();
    if !is_token(token) {
        return Err(Rejection::Authorization);
    }

    Ok(token)
}

/// Returns whether a text is a token: one or more bytes of `token68`.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Returns whether a byte is allowed in `token68` (RFC 9110 11.2).
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
            // Another scheme, or no header, leaves the request to the other credentials.
            &["Bearera.b.c"],
            &[""],
        ] {
            assert!(
                matches!(parse(values), Err(Rejection::NoToken)),
                "{values:?}"
            );
        }

        for values in [
            // The bearer scheme without exactly one well-formed token.
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
