//! The protected header of a token.

use serde::{Deserialize, Deserializer};

/// The parsed header, not yet verified.
#[derive(Clone, Debug)]
pub struct Header {
    /// The algorithm as written; the key decides, this must only agree.
    pub alg: String,
    /// The key id, if present.
    pub kid: Option<String>,
    /// The media type of the token, if present.
    pub typ: Option<String>,
}

/// Why a header is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is no JSON object, has duplicate names or a member of the wrong type.
    #[error("the header is not a JSON object with a text `alg`")]
    Malformed,
    /// The header requires an extension; none is supported.
    #[error("the header requires an extension with `crit`")]
    Critical,
    /// The header declares an unencoded payload (RFC 7797).
    #[error("the header changes the payload with `b64`")]
    Unencoded,
    /// The token is encrypted or compressed.
    #[error("the token is encrypted or compressed")]
    Encrypted,
}

impl Header {
    /// Parses a decoded header. `jku`, `jwk`, `x5u` and `x5c` are ignored: keys come only from the
    /// key set.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderError> {
        let raw: RawHeader = parse_object(json).ok_or(HeaderError::Malformed)?;
        // RFC 7515 4.1.11: a recipient that does not understand a listed extension must reject.
        if raw.crit.is_some() {
            return Err(HeaderError::Critical);
        }

        if raw.b64.is_some() {
            return Err(HeaderError::Unencoded);
        }
        if raw.enc.is_some() || raw.zip.is_some() {
            return Err(HeaderError::Encrypted);
        }

        Ok(Self {
            alg: raw.alg,
            kid: raw.kid,
            typ: raw.typ,
        })
    }
}

/// The known members. The derived deserializer rejects duplicates.
#[derive(Deserialize)]
struct RawHeader {
    alg: String,
    #[serde(default, deserialize_with = "non_null")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "non_null")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "non_null")]
    crit: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "non_null")]
    b64: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "non_null")]
    enc: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "non_null")]
    zip: Option<serde_json::Value>,
}

/// Parses a JSON object. A derived deserializer alone would accept `["RS256"]` for
/// `{"alg":"RS256"}`.
fn parse_object<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Option<T> {
    json.trim_ascii_start()
        .starts_with(b"{")
        .then(|| serde_json::from_slice(json).ok())?
}

/// Parses a JSON object of an issuer's server, which may begin with a byte order mark.
pub(crate) fn parse_document<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Option<T> {
    // RFC 8259 section 8.1 lets parsers ignore it.
    parse_object(json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json))
}

/// Distinguishes an absent member from `null`, which is a value of the wrong type.
pub(crate) fn non_null<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_known_members() {
        let header = Header::parse(br#"{"alg":"RS256","kid":"a","typ":"JWT","x":1}"#).unwrap();
        assert_eq!(header.alg, "RS256");
        assert_eq!(header.kid.as_deref(), Some("a"));
        assert_eq!(header.typ.as_deref(), Some("JWT"));
    }

    #[test]
    fn rejects_malformed_headers() {
        // Parsers differ in duplicates, `null` and trailing data; each could hide another `alg`.
        let cases: [(&[u8], HeaderError); 14] = [
            (b"", HeaderError::Malformed),
            (b"[]", HeaderError::Malformed),
            (br#"["RS256"]"#, HeaderError::Malformed),
            (b"{}", HeaderError::Malformed),
            (br#"{"alg":null}"#, HeaderError::Malformed),
            (br#"{"alg":["RS256"]}"#, HeaderError::Malformed),
            (br#"{"alg":"RS256","alg":"none"}"#, HeaderError::Malformed),
            (br#"{"alg":"RS256","kid":7}"#, HeaderError::Malformed),
            (br#"{"alg":"RS256","kid":null}"#, HeaderError::Malformed),
            (br#"{"alg":"RS256"} {}"#, HeaderError::Malformed),
            (br#"{"alg":"RS256","crit":["exp"]}"#, HeaderError::Critical),
            (br#"{"alg":"RS256","crit":null}"#, HeaderError::Critical),
            (br#"{"alg":"RS256","b64":true}"#, HeaderError::Unencoded),
            (
                br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
                HeaderError::Encrypted,
            ),
        ];

        for (json, error) in cases {
            let text = String::from_utf8_lossy(json);
            assert_eq!(Header::parse(json).unwrap_err(), error, "{text}");
        }
    }
}
