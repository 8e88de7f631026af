//! The filter as a component of a task.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chassis::http::{self, Upstream, traced};
use chassis::{BoxError, Component, Latch, Port, Problem, Process, Verb};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::filter::{Filter, Token};
use crate::judge::Judge;
use crate::keys::Keys;
use crate::rules::Rules;
use crate::verbs;

/// The auth-filter component.
#[derive(Debug)]
pub struct AuthFilter;

impl Component for AuthFilter {
    const NAME: &'static str = "auth-filter";
    const SUMMARY: &'static str = "Lets requests through to the next hop only with a good token";
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
        let fault = config.fetcher().err();
        let hint = "name a PEM file with the authority's certificate";
        fault
            .map(|fault| Problem::new("jwks_ca", fault.to_string(), hint))
            .into_iter()
            .collect()
    }

    async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
        // Bound without an await: nobody may find the filter ready before its latches are taken.
        let listener = std::net::TcpListener::bind(config.listen)
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        listener.set_nonblocking(true)?;
        serve(config, TcpListener::from_std(listener)?, process).await
    }

    async fn verb(
        name: &str,
        arguments: Vec<String>,
        config: Config,
        _: Process,
    ) -> Result<u8, BoxError> {
        verbs::run(name, &arguments, &config).await
    }
}

/// Filters what `listener` accepts until the shutdown, and returns after the drain.
///
/// `config.listen` and `process.common.admin` are not looked at: the caller has bound what it wants.
/// Latches are taken by the call itself, so that nobody finds the filter ready before it runs.
pub fn serve(
    config: Config,
    listener: TcpListener,
    process: Process,
) -> impl Future<Output = Result<(), BoxError>> + Send {
    let latches = Latches {
        keys: process.readiness.latch("keys"),
        upstream: process.readiness.latch("upstream"),
    };
    serve_latched(config, listener, process, latches)
}

async fn serve_latched(
    config: Config,
    listener: TcpListener,
    process: Process,
    latches: Latches,
) -> Result<(), BoxError> {
    let (keys, refresher) = Keys::new(config.origin()?, config.timing());
    let upstream = Upstream::new(&config.upstream, config.upstream_limits.clone())?;
    let filter = Arc::new(filter(&config, keys.clone(), upstream.clone())?);
    tracing::info!(address = %listener.local_addr()?, upstream = config.upstream, "listening");

    let mut limits = config.limits.clone();
    limits.drain = process.common.drain_limit;
    let service = move |request| {
        let filter = filter.clone();
        traced("auth-filter", request, async move |request| {
            filter.answer(request).await
        })
    };
    tokio::select! {
        served = http::serve(listener, service, limits, process.shutdown) => served,
        never = refresher.run() => match never {},
        never = latches.release(&keys, &upstream) => match never {},
    }
}

fn filter(config: &Config, keys: Keys, upstream: Upstream) -> Result<Filter, BoxError> {
    // `Settings::problems` has said which rule is wrong; this is for callers of the library.
    let rules =
        Rules::compile(&config.rules).map_err(|_| "`rules` has a rule that cannot be read")?;
    let judge = Judge::new(rules, config.policy(), keys);
    let token = if config.forward_authorization {
        Token::Forwarded
    } else {
        Token::Removed
    };
    Ok(Filter::new(judge, upstream, token))
}

/// What readiness waits for.
struct Latches {
    keys: Latch,
    upstream: Latch,
}

impl Latches {
    /// Releases each latch when what it waits for is there, and then waits for ever.
    async fn release(self, keys: &Keys, upstream: &Upstream) -> Infallible {
        let keys = async {
            keys.loaded().await;
            self.keys.release();
        };
        let upstream = async {
            while !upstream.reachable().await {
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
            self.upstream.release();
        };
        tokio::join!(keys, upstream);
        std::future::pending().await
    }
}

/// How soon an upstream that was not there is looked for again.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
