//! Everything about the filter that can be set from outside.

mod problems;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use chassis::http::{Limits, UpstreamLimits, UpstreamProtocol};
use chassis::{Period, Secret};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims::TokenPolicy;
use crate::credentials::{
    AlbSettings, ApiKey, ApiKeyListError, CertificateRule, ExternalSettings, parse_api_keys,
};
use crate::failure_limiter::FailureSettings;
use crate::headers::{ClaimHeaders, claim_header_name};
use crate::identity_token::IdentityTokenSettings;
use crate::jws::Algorithm;
use crate::keys::{Fetcher, Origin, PlainHttp, Roots, RootsError, Source, SourceError, Timing};
use crate::rules::{OneOrMore, Rule, Rules};

/// The settings of the filter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that stand apart, as they are written in the settings"
)]
pub struct Config {
    /// Address the filter listens on, for HTTP/1 and cleartext HTTP/2.
    pub listen: SocketAddr,
    /// Base address of the next hop, without a path: `http://127.0.0.1:8080`.
    #[schemars(url)]
    pub upstream: String,
    /// What the next hop speaks: `http2` for gRPC servers.
    pub upstream_protocol: UpstreamProtocol,
    /// Allows an upstream outside of this task, where anybody may walk around the filter.
    pub insecure_upstream: bool,
    /// The issuer whose tokens are believed, exactly as it stands in `iss`; for several see `issuers`.
    pub issuer: String,
    /// The audience a token of `issuer` must be for, exactly as it stands in `aud`.
    pub audience: String,
    /// Where the key set of `issuer` is: a path, or a `file:`, `https:` or loopback `http:` address.
    /// Without it the issuer's OpenID configuration is asked.
    pub jwks: Option<String>,
    /// Issuers beside `issuer`: each with `issuer`, `audience` (main or a list) and, where needed,
    /// `audience_claim`, `jwks`, `algorithms`, `required` claims and `scope_claim`.
    pub issuers: Vec<TrustedIssuer>,
    /// How often the key sets are loaded again.
    pub jwks_refresh_interval: Period,
    /// The least time between two loads that tokens with an unknown key id can cause.
    pub jwks_min_refresh_interval: Period,
    /// How long keys are believed while the key set cannot be loaded.
    pub jwks_max_stale: Period,
    /// PEM file of the authorities believed when keys are fetched; the public ones without it.
    pub jwks_ca_file: Option<PathBuf>,
    /// Allows keys over plain http from another machine: whoever stands in between decides.
    pub insecure_jwks_http: bool,
    /// The signature algorithms that are accepted, of those that the key is for.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks of issuer and filter may be apart.
    pub leeway: Period,
    /// How many good tokens are find_cached, so that their signatures are not checked again; 0 for none.
    pub token_cache_size: usize,
    /// API keys that are believed: each with `id`, `sha256` and, where needed, `scopes` and `expires`.
    pub api_keys: Vec<ApiKey>,
    /// JSON file with more of `api_keys`, read again when it changes.
    pub api_keys_file: Option<PathBuf>,
    /// JSON text with more of `api_keys`, for a secret.
    pub api_keys_secret: Secret,
    /// The header an API key stands in; the app never sees it.
    pub api_key_header: String,
    /// Which load balancers are believed about users who logged in there.
    pub alb: AlbSettings,
    /// Client certificates that are believed as tls-proxy in mode `http` hands them on: each with `uri`,
    /// `dns`, `subject` or `sha256` and, where needed, `id` and `scopes`; the first that fits.
    pub client_certificates: Vec<CertificateRule>,
    /// A service that is asked about requests without another credential.
    pub external: ExternalSettings,
    /// Allows an external service outside of this task, over plain http: whoever stands in between decides.
    pub insecure_external: bool,
    /// Which requests need what, first match first: `method`, `host`, `path`, and `public`, or `scopes`,
    /// `claims` and `credentials`. Without rules any good credential passes; with rules a request that
    /// none is for is refused.
    pub rules: Vec<Rule>,
    /// `false` for a trial: what would be refused is written to the audit and goes on as from nobody.
    pub enforce: bool,
    /// When a client whose credentials fail is not heard any more.
    pub failures: FailureSettings,
    /// Leaves a checked `Authorization` header in the request instead of removing it.
    pub forward_authorization: bool,
    /// Claims the app is told: `email: email` sets `x-auth-email` from the claim `email`; a claim inside
    /// another by JSON pointer.
    pub claim_headers: BTreeMap<String, String>,
    /// The identity as a short signed token for the app.
    pub identity_token: IdentityTokenSettings,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the upstream.
    pub upstream_limits: UpstreamLimits,
}

/// An issuer whose tokens are believed, and what they must say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The issuer, exactly as it stands in `iss`.
    pub issuer: String,
    /// The audience, or several of which main is enough, exactly as in the token.
    pub audience: OneOrMore,
    /// The claim that names the audience; `client_id` for access tokens of Amazon Cognito.
    #[serde(default = "audience_claim")]
    pub audience_claim: String,
    /// Where its key set is; from its OpenID configuration without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// The algorithms accepted of this issuer; those of the setting `algorithms` without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<Algorithm>,
    /// Claims every token must have, as in rules: `{token_use: access}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, Value>,
    /// The claim with the scopes, `permissions` or `/realm_access/roles`; `scope`, else `scp`, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_claim: Option<String>,
}

fn audience_claim() -> String {
    "aud".to_owned()
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            upstream: String::new(),
            upstream_protocol: UpstreamProtocol::default(),
            insecure_upstream: false,
            issuer: String::new(),
            audience: String::new(),
            jwks: None,
            issuers: Vec::new(),
            jwks_refresh_interval: Period::from_secs(300),
            jwks_min_refresh_interval: Period::from_secs(30),
            jwks_max_stale: Period::from_secs(24 * 3600),
            jwks_ca_file: None,
            insecure_jwks_http: false,
            algorithms: Algorithm::ALL.to_vec(),
            leeway: Period::from_secs(60),
            token_cache_size: 1024,
            api_keys: Vec::new(),
            api_keys_file: None,
            api_keys_secret: Secret::default(),
            api_key_header: "x-api-key".to_owned(),
            alb: AlbSettings::default(),
            client_certificates: Vec::new(),
            external: ExternalSettings::default(),
            insecure_external: false,
            rules: Vec::new(),
            enforce: true,
            failures: FailureSettings::default(),
            forward_authorization: false,
            claim_headers: BTreeMap::new(),
            identity_token: IdentityTokenSettings::default(),
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
        }
    }
}

impl Config {
    /// All issuers whose tokens are believed: the main of `issuer` first.
    pub fn all_issuers(&self) -> Vec<TrustedIssuer> {
        let main = TrustedIssuer {
            issuer: self.issuer.clone(),
            audience: OneOrMore::One(self.audience.clone()),
            audience_claim: audience_claim(),
            jwks: self.jwks.clone(),
            algorithms: Vec::new(),
            required: BTreeMap::new(),
            scope_claim: None,
        };

        let main = Some(main).filter(|issuer| !issuer.issuer.is_empty());
        main.into_iter().chain(self.issuers.clone()).collect()
    }

    /// What every token of an issuer must say.
    pub fn policy(&self, issuer: &TrustedIssuer) -> TokenPolicy {
        TokenPolicy {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audience.list().to_vec(),
            audience_claim: issuer.audience_claim.clone(),
            required: issuer.required.clone(),
            scope_claim: issuer.scope_claim.clone(),
            retained_claims: self.retained_claims(),
            leeway: self.leeway.duration(),
        }
    }

    /// The claims that rules and headers ask for.
    pub fn retained_claims(&self) -> Vec<String> {
        let in_rules = self.rules.iter().flat_map(|rule| rule.claims.keys());
        let mut retained_claims: Vec<String> = in_rules
            .chain(self.claim_headers.values())
            .cloned()
            .collect();
        retained_claims.sort();
        retained_claims.dedup();
        retained_claims
    }

    /// Where the keys of an issuer come from, by way of what [`Config::fetcher`] made.
    pub fn origin(&self, issuer: &TrustedIssuer, fetcher: Fetcher) -> Result<Origin, SourceError> {
        let source = source(issuer)?;
        let algorithms = if issuer.algorithms.is_empty() {
            &self.algorithms
        } else {
            &issuer.algorithms
        };
        Ok(Origin::new(source, fetcher, algorithms.clone()))
    }

    /// The rules, read.
    pub(crate) fn compile_rules(&self) -> Result<Rules, &'static str> {
        // `Settings::problems` has said which rule is wrong; this is for callers of the library.
        Rules::compile(&self.rules).map_err(|_| "`rules` has a rule that cannot be read")
    }

    /// What fetches the keys; reads the certificate authorities.
    pub fn fetcher(&self) -> Result<Fetcher, RootsError> {
        let roots = self.jwks_ca_file.clone().map_or(Roots::Public, Roots::File);
        let plain = if self.insecure_jwks_http {
            PlainHttp::Anywhere
        } else {
            PlainHttp::Loopback
        };
        Fetcher::new(&roots, plain)
    }

    /// How fresh the keys are retained_claims.
    pub fn timing(&self) -> Timing {
        Timing {
            refresh_interval: self.jwks_refresh_interval.duration(),
            min_refresh_interval: self.jwks_min_refresh_interval.duration(),
            max_stale: self.jwks_max_stale.duration(),
        }
    }

    /// The API keys that do not stand in a file.
    pub(crate) fn static_api_keys(&self) -> Result<Vec<ApiKey>, ApiKeyListError> {
        let mut keys = self.api_keys.clone();
        if !self.api_keys_secret.is_empty() {
            keys.extend(parse_api_keys(self.api_keys_secret.expose())?);
        }
        Ok(keys)
    }

    pub(crate) fn has_api_keys(&self) -> bool {
        !self.api_keys.is_empty()
            || self.api_keys_file.is_some()
            || !self.api_keys_secret.is_empty()
    }

    /// The headers that claims are told in; those whose names will not do are left to `problems`.
    pub(crate) fn claim_headers_by_name(&self) -> ClaimHeaders {
        let headers = self
            .claim_headers
            .iter()
            .filter_map(|(name, claim)| Some((claim_header_name(name)?, claim.clone())));
        headers.collect()
    }

    pub(crate) fn external_headers(&self) -> Result<Vec<HeaderName>, &String> {
        let headers = self.external.headers.iter();
        headers
            .map(|header| header.parse().map_err(|_| header))
            .collect()
    }
}

fn source(issuer: &TrustedIssuer) -> Result<Source, SourceError> {
    Source::new(issuer.jwks.as_deref().unwrap_or_default(), &issuer.issuer)
}
