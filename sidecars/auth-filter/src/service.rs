//! Serves the filter: credentials, keys and upstream from the settings, on a listener of the caller.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::InvalidHeaderName;
use chassis::http::{self, Limits, Upstream, trace_request};
use chassis::{Latch, Readiness, Settings, SettingsError, Shutdown, format_chain};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authorizer::Authorizer;
use crate::config::Config;
use crate::cors::Cors;
use crate::credentials::{
    Alb, ApiKeys, Certificates, Credentials, External, TokenSources, header_names,
};
use crate::failure_limiter::FailureLimiter;
use crate::filter::{
    AuthorizationHeader, ClientCertificate, Enforcement, Filter, UpstreamIdentity,
};
use crate::identity_token::IdentityTokens;
use crate::issuers::{IssuerVerifier, Issuers};
use crate::keys::{Fetcher, Keys};

/// The error of serving the filter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are invalid; contains every problem.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Serves the filter until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// The caller binds: `listen` is not used. `readiness` gets the latches `keys` and `upstream` when
/// this is called, not when the future is first polled.
pub fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    let latches = Latches {
        keys: readiness.latch("keys"),
        upstream: readiness.latch("upstream"),
    };
    serve_with_latches(config, listener, shutdown, latches)
}

async fn serve_with_latches(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
    latches: Latches,
) -> Result<(), Error> {
    SettingsError::from_problems(config.problems())?;
    let mut tasks = JoinSet::new();
    let (credentials, keys) = build_credentials(&config, &mut tasks)?;
    // HTTP/2 is not negotiated on cleartext, so the upstream's protocol is a setting.
    let (protocol, limits) = (config.upstream_protocol, config.upstream_limits.clone());
    let upstream = Upstream::with_protocol(protocol, &config.upstream, limits)
        .map_err(|error| invalid("upstream", &error))?;
    let filter = Arc::new(build_filter(&config, credentials, upstream.clone())?);

    if !config.enforce {
        tracing::warn!("`enforce` is false: nothing is rejected, the audit shows what would be");
    }

    let service = move |request| {
        let filter = filter.clone();
        trace_request("auth-filter", request, async move |request| {
            filter.handle(request).await
        })
    };

    let limits = Limits {
        max_connections_per_client: config.max_connections_per_client,
        ..config.limits.clone()
    };
    tokio::select! {
        // Readiness is released while serving, so probes see each step; the second branch never
        // completes.
        () = http::serve(listener, service, limits, shutdown) => Ok(()),
        never = latches.release(&keys, &upstream) => match never {},
    }
}

/// Builds the accepted credentials and the keys of the issuers; tasks that refresh them go to
/// `tasks`.
fn build_credentials(
    config: &Config,
    tasks: &mut JoinSet<Infallible>,
) -> Result<(Credentials, Vec<Keys>), Error> {
    let mut credentials = Credentials {
        binding: config.certificate_bound_tokens,
        token_sources: token_sources(config),
        ..Credentials::default()
    };
    // One fetcher for all issuers: they share the CA certificates and the TLS configuration.
    let fetcher = config
        .fetcher()
        .map_err(|error| invalid("jwks_ca_file", &error))?;
    let verifiers = build_verifiers(config, &fetcher, tasks)?;

    let all_keys = verifiers
        .iter()
        .map(|verifier| verifier.keys.clone())
        .collect();
    if !verifiers.is_empty() {
        credentials.issuers = Some(Issuers::new(verifiers, config.token_cache_size));
    }

    credentials.introspection = config
        .build_introspection()
        .map_err(|error| invalid("introspection.url", &error))?;
    if config.has_api_keys() {
        credentials.api_keys = Some(build_api_keys(config, tasks)?);
    }

    // Load balancers rotate keys too: the same limits apply to their fetches.
    if config.alb.is_enabled() {
        credentials.alb = Some(Alb::new(
            config.alb.clone(),
            fetcher,
            config.leeway.duration(),
            config.jwks_min_refresh_interval.duration(),
            config.retained_claims(),
        ));
    }

    if !config.client_certificates.is_empty() {
        let certificates = Certificates::new(config.client_certificates.clone());
        credentials.certificates = Some(certificates);
    }

    if let Some(url) = &config.external.url {
        let external = External::new(url, &config.external)
            .map_err(|error| invalid("external.url", &error))?;
        credentials.external = Some(external);
    }

    Ok((credentials, all_keys))
}

/// Builds the verifiers of the issuers; the tasks that refresh their keys go to `tasks`.
fn build_verifiers(
    config: &Config,
    fetcher: &Fetcher,
    tasks: &mut JoinSet<Infallible>,
) -> Result<Vec<IssuerVerifier>, Error> {
    let mut verifiers = Vec::new();
    for issuer in config.all_issuers() {
        let origin = config
            .origin(&issuer, fetcher.clone())
            .map_err(|error| invalid("jwks", &error))?;
        let (keys, refresher) = Keys::new(origin, config.timing());
        tasks.spawn(refresher.run());
        let policy = config.policy(&issuer);
        verifiers.push(IssuerVerifier { policy, keys });
    }

    Ok(verifiers)
}

/// Builds the API keys; the task that reloads their file goes to `tasks`.
fn build_api_keys(config: &Config, tasks: &mut JoinSet<Infallible>) -> Result<ApiKeys, Error> {
    let header = config
        .api_key_header
        .parse()
        .map_err(|error: InvalidHeaderName| invalid("api_key_header", &error))?;
    let fixed = config
        .static_api_keys()
        .map_err(|error| invalid("api_keys_secret", &error))?;

    // Fails at startup if the file is unreadable; later errors keep the loaded keys.
    let (keys, reloader) = ApiKeys::new(header, &fixed, config.api_keys_file.clone())
        .map_err(|error| invalid("api_keys_file", &error))?;
    tasks.spawn(reloader.run());
    Ok(keys)
}

fn build_filter(
    config: &Config,
    credentials: Credentials,
    upstream: Upstream,
) -> Result<Filter, Error> {
    let failures = FailureLimiter::new(config.failures.clone());
    let api_key = credentials.api_keys.as_ref().map(ApiKeys::header).cloned();
    let rules = config
        .compile_rules()
        .map_err(|message| SettingsError::new("rules", message, ""))?;
    let authorizer = Authorizer::new(rules, credentials, failures, Cors::new(config.cors.clone()));
    let authorization = if config.forward_authorization {
        AuthorizationHeader::Forward
    } else {
        AuthorizationHeader::Remove
    };

    let settings = &config.identity_token;
    let identity_tokens = (!settings.key.is_empty())
        .then(|| IdentityTokens::new(settings.clone()))
        .transpose()
        .map_err(|error| invalid("identity_token.key", &error))?;
    let client_certificate = if config.client_certificates.is_empty() {
        ClientCertificate::Remove
    } else {
        ClientCertificate::Forward
    };
    let upstream_identity = UpstreamIdentity {
        authorization,
        client_certificate,
        claims: config.claim_headers_by_name(),
        api_key,
        identity_tokens,
        token_sources: token_sources(config),
        external_headers: header_names(&config.external.app_headers),
    };

    let enforcement = if config.enforce {
        Enforcement::Enforce
    } else {
        Enforcement::DryRun
    };

    Ok(Filter::new(
        authorizer,
        upstream,
        upstream_identity,
        enforcement,
    ))
}

fn token_sources(config: &Config) -> TokenSources {
    TokenSources::new(config.token_sources.clone(), Cors::new(config.cors.clone()))
}

fn invalid(setting: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    SettingsError::new(
        setting,
        format!("is not usable: {}", format_chain(error)),
        "",
    )
    .into()
}

/// The conditions of readiness.
struct Latches {
    keys: Latch,
    upstream: Latch,
}

impl Latches {
    /// Releases each latch when its condition holds, then never returns.
    async fn release(self, keys: &[Keys], upstream: &Upstream) -> Infallible {
        let keys = async {
            let all = async {
                for keys in keys {
                    keys.wait_until_loaded().await;
                }
            };

            // An unreachable issuer delays readiness for a while, not forever.
            if timeout(ALL_KEYS_TIMEOUT, all).await.is_err() {
                while keys.iter().all(|keys| keys.current().is_none()) {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
            self.keys.release();
        };

        let upstream = async {
            while !upstream.is_reachable().await {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            self.upstream.release();
        };

        tokio::join!(keys, upstream);
        std::future::pending().await
    }
}

/// Time between two connection attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait for the keys of all issuers; after that, those of one are enough.
const ALL_KEYS_TIMEOUT: Duration = Duration::from_secs(5);
