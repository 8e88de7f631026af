//! The filter as a component of a task.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderName;
use chassis::http::client::ProxySettings;
use chassis::http::{self, Upstream, trace_request};
use chassis::{BoxError, Component, Latch, Port, Problem, Process, Verb};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::authorizer::Authorizer;
use crate::config::Config;
use crate::credentials::{Alb, ApiKeys, Certificates, Credentials, External};
use crate::failure_limiter::FailureLimiter;
use crate::filter::{AuthorizationHeader, Enforcement, Filter, UpstreamIdentity};
use crate::identity_token::IdentityTokens;
use crate::issuers::{IssuerVerifier, Issuers};
use crate::keys::Keys;
use crate::verbs;

/// The auth-filter component.
#[derive(Debug)]
pub struct AuthFilter;

impl Component for AuthFilter {
    const NAME: &'static str = "auth-filter";
    const SUMMARY: &'static str = "Forwards requests to the next hop only with a valid credential";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9902;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        vec![Port {
            name: "http",
            setting: "listen",
            address: config.listen,
        }]
    }

    fn verbs() -> &'static [Verb] {
        verbs::ALL
    }

    fn check(config: &Config) -> Vec<Problem> {
        let error = config.fetcher(ProxySettings::none()).err().map(|error| {
            let hint = "set a PEM file with the CA certificate";
            Problem::new("jwks_ca_file", error.to_string(), hint)
        });
        let path = config.api_keys_file.clone();
        let keys = path.and_then(|path| {
            let header = HeaderName::from_static("x-api-key");
            let error = ApiKeys::new(header, &[], Some(path)).err()?;
            let hint = "create entries with `auth-filter api-key ID`";
            Some(Problem::new("api_keys_file", error.to_string(), hint))
        });

        error.into_iter().chain(keys).collect()
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        // Bound without an await: the filter must not appear ready before its latches are taken.
        let listener = std::net::TcpListener::bind(config.listen)
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        listener.set_nonblocking(true)?;
        serve(config, TcpListener::from_std(listener)?, process).await
    }

    fn run_without_settings(name: &str, arguments: &[String]) -> Option<Result<u8, BoxError>> {
        verbs::run_without_settings(name, arguments)
    }

    async fn verb(
        name: &str,
        arguments: Vec<String>,
        config: Config,
        process: Process,
    ) -> Result<u8, BoxError> {
        verbs::run(name, &arguments, &config, process.proxy).await
    }
}

/// Serves connections of `listener` until the shutdown and returns after the drain.
///
/// Ignores `config.listen` and `process.common.admin`: the caller binds the sockets. Latches are
/// taken when this is called, so the filter cannot appear ready before it runs.
pub fn serve(
    config: Config,
    listener: TcpListener,
    process: Process,
) -> impl Future<Output = Result<(), BoxError>> + Send {
    let latches = Latches {
        keys: process.readiness.latch("keys"),
        upstream: process.readiness.latch("upstream"),
    };
    serve_with_latches(config, listener, process, latches)
}

async fn serve_with_latches(
    config: Config,
    listener: TcpListener,
    process: Process,
    latches: Latches,
) -> Result<(), BoxError> {
    tracing::info!(address = %listener.local_addr()?, upstream = config.upstream, "listening");
    let mut tasks = JoinSet::new();
    let (credentials, keys) = build_credentials(&config, process.proxy, &mut tasks)?;
    // HTTP/2 is not negotiated on cleartext, so the upstream's protocol is a setting.
    let (protocol, limits) = (config.upstream_protocol, config.upstream_limits.clone());
    let upstream = Upstream::with_protocol(protocol, &config.upstream, limits)?;
    let filter = Arc::new(build_filter(&config, credentials, upstream.clone())?);

    if !config.enforce {
        tracing::warn!("`enforce` is false: nothing is rejected, the audit shows what would be");
    }

    let mut limits = config.limits.clone();
    limits.drain_timeout = process.common.drain_timeout;
    let service = move |request| {
        let filter = filter.clone();
        trace_request("auth-filter", request, async move |request| {
            filter.handle(request).await
        })
    };

    tokio::select! {
        // Readiness is released while serving, so probes see each step; the second branch never
        // completes.
        served = http::serve(listener, service, limits, process.shutdown) => served,
        never = latches.release(&keys, &upstream) => match never {},
    }
}

/// Builds the accepted credentials and the keys of the issuers; tasks that refresh them go to
/// `tasks`.
fn build_credentials(
    config: &Config,
    proxy: ProxySettings,
    tasks: &mut JoinSet<Infallible>,
) -> Result<(Credentials, Vec<Keys>), BoxError> {
    let mut credentials = Credentials::default();
    // One fetcher for all issuers: they share the CA certificates and the TLS configuration.
    let fetcher = config.fetcher(proxy)?;
    let mut verifiers = Vec::new();

    for issuer in config.all_issuers() {
        let (keys, refresher) =
            Keys::new(config.origin(&issuer, fetcher.clone())?, config.timing());
        tasks.spawn(refresher.run());
        let policy = config.policy(&issuer);
        verifiers.push(IssuerVerifier { policy, keys });
    }

    let all_keys = verifiers
        .iter()
        .map(|verifier| verifier.keys.clone())
        .collect();
    if !verifiers.is_empty() {
        credentials.issuers = Some(Issuers::new(verifiers, config.token_cache_size));
    }

    if config.has_api_keys() {
        let header = config.api_key_header.parse()?;
        let fixed = config.static_api_keys()?;
        // Fails at startup if the file is unreadable; later errors keep the loaded keys.
        let (keys, reloader) = ApiKeys::new(header, &fixed, config.api_keys_file.clone())?;
        tasks.spawn(reloader.run());
        credentials.api_keys = Some(keys);
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
        let headers = config
            .external_headers()
            .map_err(|name| format!("`{name}` is not a header name"))?;
        credentials.external = Some(External::new(url, headers, config.external.timeout)?);
    }

    Ok((credentials, all_keys))
}

fn build_filter(
    config: &Config,
    credentials: Credentials,
    upstream: Upstream,
) -> Result<Filter, BoxError> {
    let failures = FailureLimiter::new(config.failures.clone());
    let api_key = credentials.api_keys.as_ref().map(ApiKeys::header).cloned();
    let authorizer = Authorizer::new(config.compile_rules()?, credentials, failures);
    let authorization = if config.forward_authorization {
        AuthorizationHeader::Forward
    } else {
        AuthorizationHeader::Remove
    };

    let settings = &config.identity_token;
    let identity_tokens = (!settings.key.is_empty())
        .then(|| IdentityTokens::new(settings.clone()))
        .transpose()?;
    let upstream_identity = UpstreamIdentity {
        authorization,
        claims: config.claim_headers_by_name(),
        api_key,
        identity_tokens,
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
