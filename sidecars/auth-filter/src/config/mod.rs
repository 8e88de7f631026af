//! The settings of the filter.

mod problems;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use chassis::http::client::{PlainHttp, ProxySettings, SetupError, TrustStore};
use chassis::http::{Limits, UpstreamLimits, UpstreamProtocol};
use chassis::{HumanDuration, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::claims::TokenPolicy;
use crate::cors::CorsSettings;
use crate::credentials::{
    AlbSettings, ApiKey, ApiKeyListError, CertificateBinding, CertificateRule, ExternalSettings,
    Introspection, IntrospectionError, IntrospectionSettings, TokenSourceSettings, parse_api_keys,
};
use crate::failure_limiter::FailureSettings;
use crate::headers::{ClaimHeaders, claim_header_name};
use crate::identity_token::IdentityTokenSettings;
use crate::jws::Algorithm;
use crate::keys::{Fetcher, Origin, Source, SourceError, Timing};
use crate::rules::{OneOrMore, Rule, Rules};

/// The settings of the filter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, as they are written in the settings"
)]
pub struct Config {
    /// Address the filter listens on, for HTTP/1 and cleartext HTTP/2.
    pub listen: SocketAddr,
    /// Base address of the next hop, without a path: `http://127.0.0.1:8080`.
    #[schemars(url)]
    pub upstream: String,
    /// Protocol of the next hop: `http2` for gRPC servers.
    pub upstream_protocol: UpstreamProtocol,
    /// Allows an upstream outside of this task, where clients may bypass the filter.
    pub insecure_upstream: bool,
    /// Trusted issuer, exactly as in `iss`; for several see `issuers`.
    pub issuer: String,
    /// Audience that a token of `issuer` must have, exactly as in `aud`.
    pub audience: String,
    /// Location of the key set of `issuer`: a path, or a `file:`, `https:` or loopback `http:` URL.
    /// Without it the issuer's OpenID configuration is used.
    pub jwks: Option<String>,
    /// Further trusted issuers: each with `issuer`, `audience` (one or a list) and optionally
    /// `audience_claim`, `jwks` or `metadata`, `algorithms`, `required` claims, `scope_claim`,
    /// `client_claim`, and `tenants` for an issuer with `{tenantid}`.
    pub issuers: Vec<TrustedIssuer>,
    /// How often the key sets are loaded again.
    pub jwks_refresh_interval: HumanDuration,
    /// Minimum time between two loads caused by tokens with an unknown key id.
    pub jwks_min_refresh_interval: HumanDuration,
    /// How long keys are used while the key set cannot be loaded.
    pub jwks_max_stale: HumanDuration,
    /// PEM file of the CA certificates trusted when keys are fetched and tokens introspected; the public
    /// CAs without it.
    pub jwks_ca_file: Option<PathBuf>,
    /// Allows loading keys over plain http from another host, where the network can replace them.
    pub insecure_jwks_http: bool,
    /// Accepted signature algorithms, among those the key supports.
    pub algorithms: Vec<Algorithm>,
    /// Tolerated clock difference between issuer and filter.
    pub leeway: HumanDuration,
    /// Number of verified tokens to cache, so that their signatures are not checked again; 0
    /// disables the cache.
    pub token_cache_size: usize,
    /// Accepted API keys: each with `id`, `sha256` and optionally `scopes` and `expires`.
    pub api_keys: Vec<ApiKey>,
    /// JSON file with more `api_keys`, reloaded when it changes.
    pub api_keys_file: Option<PathBuf>,
    /// JSON text with more `api_keys`, for a secret.
    pub api_keys_secret: Secret,
    /// Header that carries an API key; removed from forwarded requests.
    pub api_key_header: String,
    /// Settings for user tokens of load balancers.
    pub alb: AlbSettings,
    /// Accepted client certificates as forwarded by tls-proxy in mode `http`: each with `uri`,
    /// `dns`, `subject` or `sha256` and optionally `id` and `scopes`; the first match applies.
    pub client_certificates: Vec<CertificateRule>,
    /// Whether tokens must be bound to the client certificate that tls-proxy forwards (RFC 8705):
    /// `verify` those with `cnf`, or `require` it of all.
    pub certificate_bound_tokens: CertificateBinding,
    /// Introspection of opaque tokens.
    pub introspection: IntrospectionSettings,
    /// Where bearer tokens may come from besides `Authorization`.
    pub token_sources: TokenSourceSettings,
    /// Cross-origin requests of browsers.
    pub cors: CorsSettings,
    /// The external authorization service.
    pub external: ExternalSettings,
    /// Allows an external service outside of this task over plain http, where the network can
    /// change its decision.
    pub insecure_external: bool,
    /// Requirements by request, first match first: `method`, `host`, `path`, and `public`, or
    /// `scopes`, `claims`, `any_of` and `credentials`. Without rules any valid credential is enough; with
    /// rules a request without a match is rejected.
    pub rules: Vec<Rule>,
    /// `false` for a dry run: requests that would be rejected are audited and forwarded without an
    /// identity.
    pub enforce: bool,
    /// Limit for clients with failed credentials.
    pub failures: FailureSettings,
    /// Forwards a verified `Authorization` header instead of removing it.
    pub forward_authorization: bool,
    /// Claims forwarded as headers: `email: email` sets `x-auth-email` from the claim `email`;
    /// nested claims by JSON pointer.
    pub claim_headers: BTreeMap<String, String>,
    /// The signed identity token for the app.
    pub identity_token: IdentityTokenSettings,
    /// Maximum number of open connections per client address; 0 is unlimited, as it must be behind a
    /// proxy.
    pub max_connections_per_client: usize,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the upstream.
    pub upstream_limits: UpstreamLimits,
    /// Proxies for key sets; no setting: the process reads them from its environment.
    #[serde(skip)]
    pub proxy: ProxySettings,
}

/// A trusted issuer and the policy for its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The issuer, exactly as in `iss`.
    pub issuer: String,
    /// The audience, or a list of which one must match, exactly as in the token.
    pub audience: OneOrMore,
    /// The claim that contains the audience; `client_id` for access tokens of Amazon Cognito.
    #[serde(default = "audience_claim")]
    pub audience_claim: String,
    /// Location of its key set; discovered from its OpenID configuration if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// Algorithms accepted for this issuer; those of the setting `algorithms` if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<Algorithm>,
    /// Claims that every token must have, as in rules: `{token_use: access}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, Value>,
    /// The claim with the scopes, such as `permissions` or `/realm_access/roles`; `scope` or `scp`
    /// if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_claim: Option<String>,
    /// The claim with the OAuth client, such as `cid`, `appid` or `azp`; `azp` or `client_id` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_claim: Option<String>,
    /// The accepted tenants of an issuer with `{tenantid}` in it, by id; `*` accepts any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// The URL of its metadata (OpenID configuration or RFC 8414); below the issuer if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
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
            jwks_refresh_interval: HumanDuration::from_secs(300),
            jwks_min_refresh_interval: HumanDuration::from_secs(30),
            jwks_max_stale: HumanDuration::from_secs(24 * 3600),
            jwks_ca_file: None,
            insecure_jwks_http: false,
            algorithms: Algorithm::ALL.to_vec(),
            leeway: HumanDuration::from_secs(60),
            token_cache_size: 1024,
            api_keys: Vec::new(),
            api_keys_file: None,
            api_keys_secret: Secret::default(),
            api_key_header: "x-api-key".to_owned(),
            alb: AlbSettings::default(),
            client_certificates: Vec::new(),
            certificate_bound_tokens: CertificateBinding::default(),
            introspection: IntrospectionSettings::default(),
            token_sources: TokenSourceSettings::default(),
            cors: CorsSettings::default(),
            external: ExternalSettings::default(),
            insecure_external: false,
            rules: Vec::new(),
            enforce: true,
            failures: FailureSettings::default(),
            forward_authorization: false,
            claim_headers: BTreeMap::new(),
            identity_token: IdentityTokenSettings::default(),
            max_connections_per_client: 0,
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
            proxy: ProxySettings::none(),
        }
    }
}

impl Config {
    /// Returns all trusted issuers, that of `issuer` first.
    pub fn all_issuers(&self) -> Vec<TrustedIssuer> {
        let main = TrustedIssuer {
            issuer: self.issuer.clone(),
            audience: OneOrMore::One(self.audience.clone()),
            audience_claim: audience_claim(),
            jwks: self.jwks.clone(),
            algorithms: Vec::new(),
            required: BTreeMap::new(),
            scope_claim: None,
            client_claim: None,
            tenants: Vec::new(),
            metadata: None,
        };

        let main = Some(main).filter(|issuer| !issuer.issuer.is_empty());
        main.into_iter().chain(self.issuers.clone()).collect()
    }

    /// Returns the policy for the tokens of an issuer.
    pub fn policy(&self, issuer: &TrustedIssuer) -> TokenPolicy {
        TokenPolicy {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audience.list().to_vec(),
            audience_claim: issuer.audience_claim.clone(),
            required: issuer.required.clone(),
            scope_claim: issuer.scope_claim.clone(),
            client_claim: issuer.client_claim.clone(),
            tenants: issuer.tenants.clone(),
            retained_claims: self.retained_claims(),
            leeway: self.leeway.duration(),
        }
    }

    /// Returns the claims used by rules and headers, sorted and without duplicates.
    pub fn retained_claims(&self) -> Vec<String> {
        let in_rules = self.rules.iter().flat_map(Rule::claim_names);
        let mut retained_claims: Vec<String> = in_rules
            .chain(self.claim_headers.values())
            .cloned()
            .collect();
        retained_claims.sort();
        retained_claims.dedup();
        retained_claims
    }

    /// Returns the source of an issuer's keys, loaded with a fetcher from [`Config::fetcher`].
    pub fn origin(&self, issuer: &TrustedIssuer, fetcher: Fetcher) -> Result<Origin, SourceError> {
        let source = source(issuer)?;
        let algorithms = if issuer.algorithms.is_empty() {
            &self.algorithms
        } else {
            &issuer.algorithms
        };
        Ok(Origin::new(source, fetcher, algorithms.clone()))
    }

    /// Compiles the rules.
    pub(crate) fn compile_rules(&self) -> Result<Rules, &'static str> {
        // `Settings::problems` reports which rule is invalid; this is for callers of the library.
        Rules::compile(&self.rules).map_err(|_| "`rules` has an invalid rule")
    }

    /// Creates the fetcher for keys; reads the CA certificates.
    pub fn fetcher(&self) -> Result<Fetcher, SetupError> {
        let ca_file = self.jwks_ca_file.clone().unwrap_or_default();
        let plain_http = if self.insecure_jwks_http {
            PlainHttp::Anywhere
        } else {
            PlainHttp::LoopbackOnly
        };
        Fetcher::new(
            TrustStore::from_ca_file(ca_file),
            plain_http,
            self.proxy.clone(),
        )
    }

    /// Creates the client for introspection, if there is an endpoint; reads the CA certificates.
    pub(crate) fn build_introspection(&self) -> Result<Option<Introspection>, IntrospectionError> {
        let settings = &self.introspection;
        if settings.url.is_none() {
            return Ok(None);
        }

        let issuer = settings.issuer.clone().unwrap_or_default();
        let policy = TokenPolicy {
            audiences: settings.audience.iter().cloned().collect(),
            retained_claims: self.retained_claims(),
            ..TokenPolicy::new(&issuer, "", self.leeway.duration())
        };
        let ca_file = self.jwks_ca_file.clone().unwrap_or_default();
        let trust = TrustStore::from_ca_file(ca_file);
        let (proxy, cache_size) = (self.proxy.clone(), self.token_cache_size);
        Introspection::new(settings.clone(), policy, trust, proxy, cache_size).map(Some)
    }

    /// Returns how often keys are loaded and when they become stale.
    pub fn timing(&self) -> Timing {
        Timing {
            refresh_interval: self.jwks_refresh_interval.duration(),
            min_refresh_interval: self.jwks_min_refresh_interval.duration(),
            max_stale: self.jwks_max_stale.duration(),
        }
    }

    /// Returns the API keys that do not come from a file.
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

    /// Returns the headers for claims; invalid names are reported by `problems`.
    pub(crate) fn claim_headers_by_name(&self) -> ClaimHeaders {
        let headers = self
            .claim_headers
            .iter()
            .filter_map(|(name, claim)| Some((claim_header_name(name)?, claim.clone())));
        headers.collect()
    }
}

fn source(issuer: &TrustedIssuer) -> Result<Source, SourceError> {
    if let (None, Some(metadata)) = (&issuer.jwks, &issuer.metadata) {
        return Source::from_metadata(metadata, &issuer.issuer);
    }
    Source::new(issuer.jwks.as_deref().unwrap_or_default(), &issuer.issuer)
}
