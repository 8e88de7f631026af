//! The query of a request.

use super::rejection::Rejection;
use crate::money::Currency;

/// The parsed query of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Query {
    /// `currency=auto|usd|eur`; `None` is auto.
    pub(super) currency: Option<Currency>,
    /// `annotate=0|1`.
    pub(super) annotate: bool,
    /// `at=`, still percent-encoded: the position in a video.
    pub(super) at: Option<String>,
}

impl Query {
    pub(super) fn parse(query: &str) -> Result<Self, Rejection> {
        let mut parsed = Self {
            currency: None,
            annotate: false,
            at: None,
        };

        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("currency", value) => parsed.currency = currency(value)?,
                ("annotate", "1" | "true") => parsed.annotate = true,
                ("annotate", "0" | "false") => parsed.annotate = false,
                ("at", value) if is_encoded(value) => parsed.at = Some(value.to_owned()),
                ("at", value) => return Err(invalid("at", value, "50%25 or 12.5")),
                ("annotate", value) => return Err(invalid("annotate", value, "0 or 1")),
                (name, _) => return Err(Rejection::BadQuery(unknown_parameter(name))),
            }
        }

        Ok(parsed)
    }
}

fn currency(value: &str) -> Result<Option<Currency>, Rejection> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Ok(None),
        "usd" => Ok(Some(Currency::Usd)),
        "eur" => Ok(Some(Currency::Eur)),
        _ => Err(invalid("currency", value, "auto, usd or eur")),
    }
}

/// Returns whether a value can be copied into another query unchanged.
fn is_encoded(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%:+".contains(&b);
    !value.is_empty() && value.len() <= 64 && value.bytes().all(plain)
}

fn invalid(name: &str, value: &str, good: &str) -> Rejection {
    Rejection::BadQuery(format!(
        "`{value}` is not a valid value of `{name}`; use {good}"
    ))
}

fn unknown_parameter(name: &str) -> String {
    format!("`{name}` is not a known parameter; use `currency`, `annotate` or `at`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_valid_queries() {
        let query = Query::parse("currency=eur&annotate=1&at=50%25")
            .ok()
            .unwrap();
        let at = Some("50%25".to_owned());

        assert_eq!(
            query,
            Query {
                currency: Some(Currency::Eur),
                annotate: true,
                at
            }
        );

        let nothing = Query {
            currency: None,
            annotate: false,
            at: None,
        };

        assert_eq!(Query::parse("").ok().unwrap(), nothing);
        assert_eq!(Query::parse("currency=auto").ok().unwrap(), nothing);
    }

    #[test]
    fn rejects_invalid_queries() {
        for query in [
            "currency=gbp",
            "annotate=yes",
            // Unknown parameters are errors, so that a typo does not change the result silently.
            "curency=usd",
            "at=%0a&at=a/b",
            "at=",
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
    }
}
