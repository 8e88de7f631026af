//! Token claims (RFC 7519) and the checks on them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::identity::{Confirmation, Credential, Identity, claim_matches};
use crate::json::{lookup, parse_object};
use crate::jws::{Header, Key};

/// Requirements for every token of an issuer.
#[derive(Clone, Debug)]
pub struct TokenPolicy {
    /// The trusted issuer, compared byte for byte, or a template with [`TENANT`] in it.
    pub issuer: String,
    /// The accepted tenants of a template; `*` accepts any.
    pub tenants: Vec<String>,
    /// The accepted audiences, compared byte for byte; one must match.
    pub audiences: Vec<String>,
    /// The claim that contains the audience: `aud`, or `client_id` for some issuers.
    pub audience_claim: String,
    /// Required claims and their expected values.
    pub required: BTreeMap<String, Value>,
    /// The claim with the scopes; `scope` or `scp` if absent.
    pub scope_claim: Option<String>,
    /// The claim with the OAuth client; `azp` or `client_id` if absent.
    pub client_claim: Option<String>,
    /// The claims used by rules and headers.
    pub retained_claims: Vec<String>,
    /// Tolerated clock difference.
    pub leeway: Duration,
}

/// Why claims are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// The type of the token is not that of an access token.
    #[error("`typ` is not that of an access token")]
    Type,
    /// The payload is no JSON object, has duplicate names or a claim of the wrong type.
    #[error("the claims are not a JSON object with claims of the right types")]
    Malformed,
    /// The issuer is missing or different.
    #[error("`iss` is not the issuer")]
    Issuer,
    /// The audience is missing or does not match.
    #[error("`aud` does not contain the audience")]
    Audience,
    /// The token has no expiry.
    #[error("`exp` is missing")]
    NoExpiry,
    /// The token has expired.
    #[error("`exp` has passed")]
    Expired,
    /// The token is not valid yet.
    #[error("`nbf` is in the future")]
    NotYetValid,
    /// The tenant is not one of those accepted.
    #[error("`tid` is not an accepted tenant")]
    Tenant,
    /// A required claim is missing or different.
    #[error("a required claim is missing or not as expected")]
    Required,
}

/// The name of a check and its error if it failed.
pub type Check<'p> = (&'p str, Option<ClaimsError>);

impl ClaimsError {
    /// Returns the reason for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Malformed => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet",
            Self::Tenant => "tenant",
            Self::Required => "required_claim",
        }
    }
}

impl TokenPolicy {
    /// Creates a policy with an issuer and an audience only.
    pub fn new(issuer: &str, audience: &str, leeway: Duration) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audiences: vec![audience.to_owned()],
            audience_claim: "aud".to_owned(),
            tenants: Vec::new(),
            required: BTreeMap::new(),
            scope_claim: None,
            client_claim: None,
            retained_claims: Vec::new(),
            leeway,
        }
    }

    /// Checks the payload of a token with a valid signature.
    pub fn claims(
        &self,
        header: &Header,
        payload: &[u8],
        now: SystemTime,
    ) -> Result<Identity, ClaimsError> {
        let claims = RawClaims::parse(payload, self)?;
        let checks = self.run_checks(header, &claims, now);
        match checks.into_iter().find_map(|(_, error)| error) {
            Some(error) => Err(error),
            None => Ok(claims.into_identity(self)),
        }
    }

    /// Checks the claims in the response to an introspection request (RFC 7662 section 2.2), of which
    /// only `active` is required. An empty issuer and an empty list of audiences accept any.
    pub(crate) fn introspection_claims(
        &self,
        response: &[u8],
        now: SystemTime,
    ) -> Result<Identity, ClaimsError> {
        let claims = RawClaims::parse(response, self)?;
        if !is_introspected_access_token(&claims.members)? {
            return Err(ClaimsError::Type);
        }

        let is_issuer = |issuer: &String| self.issuer.is_empty() || *issuer == self.issuer;
        if !claims.issuer.as_ref().is_none_or(is_issuer) {
            return Err(ClaimsError::Issuer);
        }
        let mut audiences = claims.audiences.iter();
        let is_known = audiences.any(|audience| self.audiences.contains(audience));
        if !self.audiences.is_empty() && !is_known {
            return Err(ClaimsError::Audience);
        }

        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (now, leeway) = (now.as_secs_f64(), self.leeway.as_secs_f64());
        if claims.expiry.is_some_and(|expiry| now >= expiry + leeway) {
            return Err(ClaimsError::Expired);
        }
        if claims.not_before.is_some_and(|begin| begin > now + leeway) {
            return Err(ClaimsError::NotYetValid);
        }

        let mut identity = claims.into_identity(self);
        if identity.issuer.is_empty() {
            identity.issuer.clone_from(&self.issuer);
        }
        Ok(identity)
    }

    /// Returns every check with its result, for diagnostics.
    pub fn checks(
        &self,
        header: &Header,
        payload: &[u8],
        now: SystemTime,
    ) -> Result<Vec<Check<'_>>, ClaimsError> {
        let claims = RawClaims::parse(payload, self)?;
        Ok(self.run_checks(header, &claims, now))
    }

    fn run_checks(&self, header: &Header, claims: &RawClaims, now: SystemTime) -> Vec<Check<'_>> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (now, leeway) = (now.as_secs_f64(), self.leeway.as_secs_f64());
        let error = |passes: bool, error: ClaimsError| (!passes).then_some(error);
        // `exp` is optional in RFC 7519 but required here: a token without it is valid forever.
        let expiry = match claims.expiry {
            None => Some(ClaimsError::NoExpiry),
            Some(expiry) => error(now < expiry + leeway, ClaimsError::Expired),
        };

        let typ = is_access_token(header.typ.as_deref());
        let issuer = self.is_issuer_of(claims);
        let audience = claims
            .audiences
            .iter()
            .any(|audience| self.audiences.contains(audience));
        let begun = claims.not_before.is_none_or(|begin| begin <= now + leeway);
        let mut checks = vec![
            ("type", error(typ, ClaimsError::Type)),
            ("issuer", error(issuer, ClaimsError::Issuer)),
            ("audience", error(audience, ClaimsError::Audience)),
            ("expiry", expiry),
            ("not before", error(begun, ClaimsError::NotYetValid)),
        ];

        if is_template(&self.issuer) {
            let tenant = claims.tenant();
            let known = tenant.is_some_and(|tenant| self.accepts_tenant(tenant));
            checks.push(("tenant", error(known, ClaimsError::Tenant)));
        }

        checks.extend(self.required.iter().map(|(name, expected)| {
            let found = lookup(&claims.members, name);
            let matches = found.is_some_and(|found| claim_matches(expected, found));
            (name.as_str(), error(matches, ClaimsError::Required))
        }));

        checks
    }

    /// Returns whether a token with this unverified `iss` is one for this policy.
    pub(crate) fn is_for_issuer(&self, name: &str) -> bool {
        let Some((begin, end)) = self.issuer.split_once(TENANT) else {
            return self.issuer == name;
        };
        let tenant = name
            .strip_prefix(begin)
            .and_then(|rest| rest.strip_suffix(end));
        tenant.is_some_and(is_tenant_id)
    }

    /// Returns whether `key` may sign tokens with this unverified payload. In the key set of several
    /// tenants a key may belong to one of them, as `issuer` of the key says (Microsoft identity
    /// platform, "Access tokens", "Validate the signing key issuer").
    pub(crate) fn accepts_key(&self, key: &Key, unverified_issuer: Option<&str>) -> bool {
        let mut issuers = key.issuers().iter();
        !is_template(&self.issuer)
            || key.issuers().is_empty()
            || issuers
                .any(|issuer| *issuer == self.issuer || Some(issuer.as_str()) == unverified_issuer)
    }

    /// Returns the unverified `iss` where keys depend on it.
    pub(crate) fn key_issuer(&self, payload: &[u8]) -> Option<String> {
        is_template(&self.issuer).then(|| unverified_issuer(payload))?
    }

    /// Compares `iss` with the issuer, or with the template with `tid` in it: both claims must mean
    /// the same tenant.
    fn is_issuer_of(&self, claims: &RawClaims) -> bool {
        let expected = if is_template(&self.issuer) {
            let tenant = claims.tenant().filter(|tenant| is_tenant_id(tenant));
            tenant.map(|tenant| self.issuer.replace(TENANT, tenant))
        } else {
            Some(self.issuer.clone())
        };
        expected.is_some() && claims.issuer == expected
    }

    fn accepts_tenant(&self, tenant: &str) -> bool {
        let mut tenants = self.tenants.iter();
        tenants.any(|accepted| accepted == "*" || accepted.eq_ignore_ascii_case(tenant))
    }
}

/// The placeholder for the tenant in an issuer, as in the metadata of Microsoft Entra ID.
pub const TENANT: &str = "{tenantid}";

/// Returns whether an issuer is a template for many tenants.
pub(crate) fn is_template(issuer: &str) -> bool {
    issuer.contains(TENANT)
}

/// Returns whether a text is the id of a tenant: a UUID, which cannot change the rest of an issuer.
pub(crate) fn is_tenant_id(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    let mut bytes = text.bytes().enumerate();
    text.len() == 36
        && bytes.all(|(at, byte)| {
            if hyphens.contains(&at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
}

/// Returns the unverified `iss` of a payload, which only selects the keys to try.
pub(crate) fn unverified_issuer(payload: &[u8]) -> Option<String> {
    text(&parse_object(payload)?, "iss").ok()?
}

/// Returns whether a type is acceptable. RFC 8725 3.11: tokens for another purpose (`logout+jwt`,
/// `dpop+jwt`, …) have their own type.
fn is_access_token(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.to_ascii_lowercase();
    matches!(
        typ.strip_prefix("application/").unwrap_or(&typ),
        "jwt" | "at+jwt"
    )
}

/// Returns whether an introspected token is an access token: servers also call refresh and id tokens
/// active. `token_use` is that of Ory Hydra, `typ` that of Keycloak.
fn is_introspected_access_token(members: &Map<String, Value>) -> Result<bool, ClaimsError> {
    for (name, accepted) in [
        ("token_type", &["bearer", "access_token", "n_a"][..]),
        ("token_use", &["access_token", "access"]),
        ("typ", &["bearer", "jwt", "at+jwt"]),
    ] {
        let value = text(members, name)?.map(|value| value.to_ascii_lowercase());
        if value.is_some_and(|value| !accepted.contains(&value.as_str())) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The known claims with their types checked.
struct RawClaims {
    issuer: Option<String>,
    audiences: Vec<String>,
    expiry: Option<f64>,
    not_before: Option<f64>,
    scopes: Vec<String>,
    members: Map<String, Value>,
}

impl RawClaims {
    fn parse(payload: &[u8], policy: &TokenPolicy) -> Result<Self, ClaimsError> {
        let members = parse_object(payload).ok_or(ClaimsError::Malformed)?;
        // Only the types are checked: RFC 7519 does not reject a token by its `iat`.
        number(&members, "iat")?;
        for name in ["sub", "azp", "client_id"] {
            text(&members, name)?;
        }

        if let Some(name) = &policy.client_claim
            && lookup(&members, name).is_some_and(|value| !value.is_string())
        {
            return Err(ClaimsError::Malformed);
        }

        // `scope` is registered by RFC 8693; `scp` is used by Microsoft and Okta.
        let scopes = if let Some(name) = &policy.scope_claim {
            texts(&members, name)?
        } else {
            let (scope, scp) = (texts(&members, "scope")?, texts(&members, "scp")?);
            scope.or(scp)
        };

        Ok(Self {
            issuer: text(&members, "iss")?,
            audiences: texts(&members, &policy.audience_claim)?.unwrap_or_default(),
            expiry: number(&members, "exp")?,
            not_before: number(&members, "nbf")?,
            scopes: scopes.map(split_scopes).unwrap_or_default(),
            members,
        })
    }

    fn tenant(&self) -> Option<&str> {
        self.members.get("tid")?.as_str()
    }

    fn into_identity(mut self, policy: &TokenPolicy) -> Identity {
        let retained_claims = policy.retained_claims.iter().filter_map(|name| {
            let value = lookup(&self.members, name)?;
            Some((name.clone(), value.clone()))
        });
        let claims = retained_claims.collect();
        let confirmation = self.members.get("cnf").map(Confirmation::from_claim);
        let chosen_client = policy.client_claim.as_ref().map(|name| {
            let client = lookup(&self.members, name).and_then(Value::as_str);
            client.map(str::to_owned)
        });
        let mut take = |name: &str| match self.members.shift_remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };

        // `exp` may exceed `SystemTime`; such an identity has no expiry.
        let expires = self
            .expiry
            .and_then(|expiry| Duration::try_from_secs_f64(expiry).ok())
            .and_then(|since| UNIX_EPOCH.checked_add(since));
        let subject = take("sub");
        // Without the chosen claim there is no client, rather than that of another claim.
        let client = chosen_client.unwrap_or_else(|| take("azp").or_else(|| take("client_id")));
        let issuer = self.issuer.unwrap_or_default();

        Identity {
            scopes: self.scopes,
            client,
            claims,
            expires,
            confirmation,
            ..Identity::new(Credential::Token, subject, issuer)
        }
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, ClaimsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ClaimsError::Malformed),
    }
}

fn number(members: &Map<String, Value>, name: &str) -> Result<Option<f64>, ClaimsError> {
    match members.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(ClaimsError::Malformed),
    }
}

/// Returns a string or list of strings.
fn texts(members: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, ClaimsError> {
    match lookup(members, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(vec![text.clone()])),
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|value| match value {
                Value::String(text) => Ok(text.clone()),
                _ => Err(ClaimsError::Malformed),
            });
            texts.collect::<Result<_, _>>().map(Some)
        }
        Some(_) => Err(ClaimsError::Malformed),
    }
}

/// Splits space-separated scopes of RFC 8693 and lists alike.
pub(crate) fn split_scopes(claims: Vec<String>) -> Vec<String> {
    let words = claims.iter().flat_map(|text| text.split(' '));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn check(payload: &str) -> Result<Identity, ClaimsError> {
        check_typed(payload, Some("JWT"))
    }

    fn check_typed(payload: &str, typ: Option<&str>) -> Result<Identity, ClaimsError> {
        let policy = TokenPolicy::new("https://issuer.test", "coins", Duration::from_mins(1));
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

    /// Returns a valid payload with one member replaced or, for an empty value, removed.
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
    fn extracts_subject_scopes_and_client() {
        let payload = with("scope", r#""coins.read coins.write""#);
        let claims = check(&payload).unwrap();
        assert_eq!(claims.subject.as_deref(), Some("ada"));
        assert_eq!(claims.scopes, ["coins.read", "coins.write"]);
        assert_eq!(claims.client, None);
    }

    #[test]
    fn reads_scopes_from_lists_and_clients_from_either_claim() {
        let listed = check(&with("scp", r#"["coins.read","coins.write"]"#)).unwrap();
        assert_eq!(listed.scopes, ["coins.read", "coins.write"]);
        assert_eq!(
            check(&with("azp", r#""web""#)).unwrap().client.as_deref(),
            Some("web")
        );

        assert_eq!(
            check(&with("client_id", r#""job""#))
                .unwrap()
                .client
                .as_deref(),
            Some("job")
        );
    }

    #[test]
    fn accepts_claims_within_the_leeway() {
        for (name, value) in [
            // NOW is 1,000,000 and the leeway 60 s: the last valid second of each claim, and
            // fractions.
            ("exp", "999941"),
            ("exp", "1000000.5"),
            ("nbf", "1000060"),
            ("nbf", "999999.5"),
            ("aud", r#"["other","coins"]"#),
            ("iat", "1000000"),
        ] {
            assert!(check(&with(name, value)).is_ok(), "{name} {value}");
        }
    }

    #[test]
    fn rejects_invalid_claims() {
        for (name, value, error) in [
            // The first invalid second, missing, and wrong JSON types.
            ("exp", "999940", ClaimsError::Expired),
            ("exp", "-5", ClaimsError::Expired),
            ("exp", "0", ClaimsError::Expired),
            ("exp", "", ClaimsError::NoExpiry),
            ("exp", r#""1000300""#, ClaimsError::Malformed),
            ("exp", "null", ClaimsError::Malformed),
            ("exp", "1e999", ClaimsError::Malformed),
            ("exp", "[1000300]", ClaimsError::Malformed),
            ("nbf", "1000061", ClaimsError::NotYetValid),
            ("nbf", r#""0""#, ClaimsError::Malformed),
            ("nbf", "true", ClaimsError::Malformed),
            ("iat", r#""0""#, ClaimsError::Malformed),
            ("iss", "", ClaimsError::Issuer),
            // Compared byte for byte (RFC 7519 4.1.1), so a slash or the case matters.
            ("iss", r#""https://issuer.test/""#, ClaimsError::Issuer),
            ("iss", r#""https://ISSUER.test""#, ClaimsError::Issuer),
            ("iss", r#"["https://issuer.test"]"#, ClaimsError::Malformed),
            ("aud", "", ClaimsError::Audience),
            ("aud", "[]", ClaimsError::Audience),
            // No prefix or word matching.
            ("aud", r#""coins2""#, ClaimsError::Audience),
            ("aud", r#""coin""#, ClaimsError::Audience),
            ("aud", r#""coins other""#, ClaimsError::Audience),
            ("aud", r#"{"coins":1}"#, ClaimsError::Malformed),
            ("aud", r#"["coins",7]"#, ClaimsError::Malformed),
            ("sub", r#"{"a":1}"#, ClaimsError::Malformed),
            ("sub", "7", ClaimsError::Malformed),
            ("scope", "7", ClaimsError::Malformed),
        ] {
            assert_eq!(check(&with(name, value)), Err(error), "{name} {value}");
        }
    }

    #[test]
    fn rejects_duplicate_claims_and_non_objects() {
        // Parsers differ in which duplicate they use.
        let duplicate = r#"{"iss":"https://issuer.test","aud":"coins","exp":1,"exp":1000300}"#;
        let listed = r#"["https://issuer.test","ada","coins",1000300]"#;
        for payload in [duplicate, listed, "", "foo", "[]", "7", "null", "{} {}"] {
            assert_eq!(check(payload), Err(ClaimsError::Malformed), "{payload}");
        }
    }

    #[test]
    fn rejects_tokens_of_another_type() {
        let good = with("sub", r#""ada""#);
        for typ in [
            None,
            Some("JWT"),
            Some("jwt"),
            Some("at+jwt"),
            Some("application/at+jwt"),
        ] {
            assert!(check_typed(&good, typ).is_ok(), "{typ:?}");
        }

        // Types of logout tokens, DPoP proofs and security events.
        for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE+JSON", ""] {
            assert_eq!(
                check_typed(&good, Some(typ)),
                Err(ClaimsError::Type),
                "{typ}"
            );
        }
    }
}
