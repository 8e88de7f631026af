//! The protected header of a token.

use serde::{Deserialize, Deserializer};

/// What a token says about its own signature.
#[derive(Clone, Debug)]
pub struct Header {
    /// The algorithm, as written; it decides nothing, it must only agree with the key.
    pub alg: String,
    /// The id of the key, when the token names one.
    pub kid: Option<String>,
    /// The media type of the token, when it names one.
    pub typ: Option<String>,
}

/// Why a header was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// The header is no JSON object, names a member twice or gives one the wrong type.
    #[error("the header is not a JSON object with a text `alg`")]
    Malformed,
    /// The header demands an extension be understood; none is.
    #[error("the header demands an extension with `crit`")]
    Critical,
    /// The header says that the payload is not base64url.
    #[error("the header changes the payload with `b64`")]
    Unencoded,
    /// The token is encrypted or compressed.
    #[error("the token is encrypted or compressed")]
    Encrypted,
}

impl Header {
    /// Reads a decoded header. `jku`, `jwk`, `x5u` and `x5c` are not even looked at: keys come from
    /// the key set and from nowhere else.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderFault> {
        let written: Written = object(json).ok_or(HeaderFault::Malformed)?;
        if written.crit.is_some() {
            return Err(HeaderFault::Critical);
        }

        if written.b64.is_some() {
            return Err(HeaderFault::Unencoded);
        }
        if written.enc.is_some() || written.zip.is_some() {
            return Err(HeaderFault::Encrypted);
        }

        Ok(Self {
            alg: written.alg,
            kid: written.kid,
            typ: written.typ,
        })
    }
}

/// The members that matter. Derived readers refuse a member that appears twice.
#[derive(Deserialize)]
struct Written {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    zip: Option<serde_json::Value>,
}

/// Reads a JSON object. A derived reader alone would take `["RS256"]` for `{"alg":"RS256"}`.
pub(crate) fn object<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Option<T> {
    json.trim_ascii_start()
        .starts_with(b"{")
        .then(|| serde_json::from_slice(json).ok())?
}

/// Tells an absent member from one that is `null`, which is a value of the wrong type.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
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
    fn reads_the_members_that_matter() {
        let header = Header::parse(br#"{"alg":"RS256","kid":"a","typ":"JWT","x":1}"#).unwrap();
        assert_eq!(header.alg, "RS256");
        assert_eq!(header.kid.as_deref(), Some("a"));
        assert_eq!(header.typ.as_deref(), Some("JWT"));
    }

    #[test]
    fn refuses_what_it_could_misread() {
        let cases: [(&[u8], HeaderFault); 14] = [
            (b"", HeaderFault::Malformed),
            (b"[]", HeaderFault::Malformed),
            (br#"["RS256"]"#, HeaderFault::Malformed),
            (b"{}", HeaderFault::Malformed),
            (br#"{"alg":null}"#, HeaderFault::Malformed),
            (br#"{"alg":["RS256"]}"#, HeaderFault::Malformed),
            (br#"{"alg":"RS256","alg":"none"}"#, HeaderFault::Malformed),
            (br#"{"alg":"RS256","kid":7}"#, HeaderFault::Malformed),
            (br#"{"alg":"RS256","kid":null}"#, HeaderFault::Malformed),
            (br#"{"alg":"RS256"} {}"#, HeaderFault::Malformed),
            (br#"{"alg":"RS256","crit":["exp"]}"#, HeaderFault::Critical),
            (br#"{"alg":"RS256","crit":null}"#, HeaderFault::Critical),
            (br#"{"alg":"RS256","b64":true}"#, HeaderFault::Unencoded),
            (
                br#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#,
                HeaderFault::Encrypted,
            ),
        ];

        for (json, fault) in cases {
            let text = String::from_utf8_lossy(json);
            assert_eq!(Header::parse(json).unwrap_err(), fault, "{text}");
        }
    }
}
