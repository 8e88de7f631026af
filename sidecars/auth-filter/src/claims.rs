//! What a token claims (RFC 7519) and what of it must hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::jws::{Header, object, present};

/// What every token must say to be let through.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The one issuer believed, compared byte for byte.
    pub issuer: String,
    /// The audience this filter stands for, compared byte for byte.
    pub audience: String,
    /// How far the clocks of issuer and filter may be apart.
    pub leeway: Duration,
}

/// The claims of a token whose signature held and whose claims were found in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who the token is about.
    pub subject: Option<String>,
    /// Who issued it; always the issuer of the policy.
    pub issuer: String,
    /// What it allows, from `scope` or `scp`.
    pub scopes: Vec<String>,
    /// The program it was given to, from `azp` or `client_id`.
    pub client: Option<String>,
}

/// Why claims were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsFault {
    /// The token says it is something else than an access token.
    #[error("`typ` is not that of an access token")]
    Type,
    /// The payload is no JSON object, names a claim twice or gives one the wrong type.
    #[error("the claims are not a JSON object with claims of the right types")]
    Malformed,
    /// The issuer is missing or another one.
    #[error("`iss` is not the issuer")]
    Issuer,
    /// The audience is missing or does not contain this filter's.
    #[error("`aud` does not contain the audience")]
    Audience,
    /// The token does not say when it ends.
    #[error("`exp` is missing")]
    NoExpiry,
    /// The token has expired.
    #[error("`exp` has passed")]
    Expired,
    /// The token is not valid yet.
    #[error("`nbf` has not come")]
    NotYet,
}

impl ClaimsFault {
    /// A word for the counters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Malformed => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
        }
    }
}

impl Policy {
    /// Checks the payload of a token whose signature held.
    pub fn claims(
        &self,
        header: &Header,
        payload: &[u8],
        now: SystemTime,
    ) -> Result<Claims, ClaimsFault> {
        let written = Written::parse(payload)?;
        let faults = self.faults(header, &written, now);
        match faults.into_iter().find_map(|(_, fault)| fault) {
            Some(fault) => Err(fault),
            None => Ok(written.into_claims()),
        }
    }

    /// Every check by name and how it went, for whoever asks why a token is refused.
    pub fn checks(
        &self,
        header: &Header,
        payload: &[u8],
        now: SystemTime,
    ) -> Result<Vec<(&'static str, Option<ClaimsFault>)>, ClaimsFault> {
        let written = Written::parse(payload)?;
        Ok(self.faults(header, &written, now).into())
    }

    fn faults(
        &self,
        header: &Header,
        written: &Written,
        now: SystemTime,
    ) -> [(&'static str, Option<ClaimsFault>); 5] {
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64()
        };
        let (now, leeway) = (seconds(now), self.leeway.as_secs_f64());
        let fault = |holds: bool, fault: ClaimsFault| (!holds).then_some(fault);
        let expiry = match written.exp {
            None => Some(ClaimsFault::NoExpiry),
            Some(exp) => fault(now < exp + leeway, ClaimsFault::Expired),
        };
        let begun = written.nbf.is_none_or(|nbf| nbf <= now + leeway);
        [
            (
                "type",
                fault(is_access_token(header.typ.as_deref()), ClaimsFault::Type),
            ),
            (
                "issuer",
                fault(
                    written.iss.as_ref() == Some(&self.issuer),
                    ClaimsFault::Issuer,
                ),
            ),
            (
                "audience",
                fault(written.is_for(&self.audience), ClaimsFault::Audience),
            ),
            ("expiry", expiry),
            ("not before", fault(begun, ClaimsFault::NotYet)),
        ]
    }
}

/// RFC 8725 3.11: a token made for another purpose (`logout+jwt`, `dpop+jwt` …) says so in its type.
fn is_access_token(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.to_ascii_lowercase();
    matches!(
        typ.strip_prefix("application/").unwrap_or(&typ),
        "jwt" | "at+jwt"
    )
}

/// The claims that matter, as written. Derived readers refuse a claim that appears twice.
#[derive(Deserialize)]
struct Written {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<OneOrMore>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<f64>,
    /// Only its type is judged: nothing in RFC 7519 makes a token invalid by its birthday.
    #[serde(default, deserialize_with = "present", rename = "iat")]
    _iat: Option<f64>,
    #[serde(default, deserialize_with = "present")]
    scope: Option<OneOrMore>,
    #[serde(default, deserialize_with = "present")]
    scp: Option<OneOrMore>,
    #[serde(default, deserialize_with = "present")]
    azp: Option<String>,
    #[serde(default, deserialize_with = "present")]
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Written {
    fn parse(payload: &[u8]) -> Result<Self, ClaimsFault> {
        object(payload).ok_or(ClaimsFault::Malformed)
    }

    fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(OneOrMore::One(one)) => one == audience,
            Some(OneOrMore::More(more)) => more.iter().any(|one| one == audience),
            None => false,
        }
    }

    fn into_claims(self) -> Claims {
        Claims {
            subject: self.sub,
            issuer: self.iss.unwrap_or_default(),
            scopes: self.scope.or(self.scp).map(scopes).unwrap_or_default(),
            client: self.azp.or(self.client_id),
        }
    }
}

/// `"a b"` of RFC 8693 and the lists of some issuers alike.
fn scopes(written: OneOrMore) -> Vec<String> {
    let words = |text: &str| {
        text.split(' ')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    };
    match written {
        OneOrMore::One(text) => words(&text),
        OneOrMore::More(list) => list
            .iter()
            .flat_map(|text| words(text) as Vec<String>)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn judged(payload: &str) -> Result<Claims, ClaimsFault> {
        judged_as(payload, Some("JWT"))
    }

    fn judged_as(payload: &str, typ: Option<&str>) -> Result<Claims, ClaimsFault> {
        let policy = Policy {
            issuer: "https://issuer.test".into(),
            audience: "coins".into(),
            leeway: Duration::from_mins(1),
        };
        let header = Header {
            alg: "ES256".into(),
            kid: None,
            typ: typ.map(Into::into),
        };
        policy.claims(
            &header,
            payload.as_bytes(),
            UNIX_EPOCH + Duration::from_secs(NOW),
        )
    }

    /// A good payload with one member replaced or, for an empty value, left out.
    fn with(name: &str, value: &str) -> String {
        let mut members = vec![
            ("iss", r#""https://issuer.test""#),
            ("aud", r#""coins""#),
            ("exp", "1000300"),
            ("sub", r#""ada""#),
        ];
        members.retain(|(known, _)| *known != name);
        members.push((name, value));
        members.retain(|(_, value)| !value.is_empty());
        let members: Vec<_> = members
            .iter()
            .map(|(n, v)| format!(r#""{n}":{v}"#))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn takes_who_what_and_for_whom_from_a_good_token() {
        let payload = with("scope", r#""coins.read coins.write""#);
        let claims = judged(&payload).unwrap();
        assert_eq!(claims.subject.as_deref(), Some("ada"));
        assert_eq!(claims.scopes, ["coins.read", "coins.write"]);
        assert_eq!(claims.client, None);
    }

    #[test]
    fn takes_scopes_from_lists_and_clients_from_either_name() {
        let listed = judged(&with("scp", r#"["coins.read","coins.write"]"#)).unwrap();
        assert_eq!(listed.scopes, ["coins.read", "coins.write"]);
        assert_eq!(
            judged(&with("azp", r#""web""#)).unwrap().client.as_deref(),
            Some("web")
        );
        assert_eq!(
            judged(&with("client_id", r#""job""#))
                .unwrap()
                .client
                .as_deref(),
            Some("job")
        );
    }

    #[test]
    fn accepts_what_is_within_the_leeway() {
        for (name, value) in [
            ("exp", "999941"),
            ("exp", "1000000.5"),
            ("nbf", "1000060"),
            ("nbf", "999999.5"),
            ("aud", r#"["other","coins"]"#),
            ("iat", "1000000"),
        ] {
            assert!(judged(&with(name, value)).is_ok(), "{name} {value}");
        }
    }

    #[test]
    fn refuses_what_does_not_hold() {
        for (name, value, fault) in [
            ("exp", "999940", ClaimsFault::Expired),
            ("exp", "-5", ClaimsFault::Expired),
            ("exp", "0", ClaimsFault::Expired),
            ("exp", "", ClaimsFault::NoExpiry),
            ("exp", r#""1000300""#, ClaimsFault::Malformed),
            ("exp", "null", ClaimsFault::Malformed),
            ("exp", "1e999", ClaimsFault::Malformed),
            ("exp", "[1000300]", ClaimsFault::Malformed),
            ("nbf", "1000061", ClaimsFault::NotYet),
            ("nbf", r#""0""#, ClaimsFault::Malformed),
            ("nbf", "true", ClaimsFault::Malformed),
            ("iat", r#""0""#, ClaimsFault::Malformed),
            ("iss", "", ClaimsFault::Issuer),
            ("iss", r#""https://issuer.test/""#, ClaimsFault::Issuer),
            ("iss", r#""https://ISSUER.test""#, ClaimsFault::Issuer),
            ("iss", r#"["https://issuer.test"]"#, ClaimsFault::Malformed),
            ("aud", "", ClaimsFault::Audience),
            ("aud", "[]", ClaimsFault::Audience),
            ("aud", r#""coins2""#, ClaimsFault::Audience),
            ("aud", r#""coin""#, ClaimsFault::Audience),
            ("aud", r#""coins other""#, ClaimsFault::Audience),
            ("aud", r#"{"coins":1}"#, ClaimsFault::Malformed),
            ("aud", r#"["coins",7]"#, ClaimsFault::Malformed),
            ("sub", r#"{"a":1}"#, ClaimsFault::Malformed),
            ("sub", "7", ClaimsFault::Malformed),
            ("scope", "7", ClaimsFault::Malformed),
        ] {
            assert_eq!(judged(&with(name, value)), Err(fault), "{name} {value}");
        }
    }

    #[test]
    fn refuses_a_claim_made_twice_and_what_is_no_object() {
        let twice = r#"{"iss":"https://issuer.test","aud":"coins","exp":1,"exp":1000300}"#;
        let listed = r#"["https://issuer.test","ada","coins",1000300]"#;
        for payload in [twice, listed, "", "foo", "[]", "7", "null", "{} {}"] {
            assert_eq!(judged(payload), Err(ClaimsFault::Malformed), "{payload}");
        }
    }

    #[test]
    fn refuses_tokens_made_for_another_purpose() {
        let good = with("sub", r#""ada""#);
        for typ in [
            None,
            Some("JWT"),
            Some("jwt"),
            Some("at+jwt"),
            Some("application/at+jwt"),
        ] {
            assert!(judged_as(&good, typ).is_ok(), "{typ:?}");
        }
        for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE+JSON", ""] {
            assert_eq!(judged_as(&good, Some(typ)), Err(ClaimsFault::Type), "{typ}");
        }
    }
}
