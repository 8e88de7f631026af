//! The proxy as one value: made from settings, served on a listener.

use std::{sync::Arc, time::Duration};

use chassis::{
    BoxError, Latch, Problem, Settings, Shutdown,
    http::{self, Limits, Upstream},
};
use tokio::{net::TcpListener, time::sleep};

use crate::{
    Config,
    certificate::{self, Fault},
    forward::{Forward, Inbound},
    tls::{self, Handshake},
};

/// Why a proxy cannot be made or has stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used; every problem is there.
    #[error("the settings cannot be used: {}", sentences(.0))]
    Settings(Vec<Problem>),
    /// Serving failed.
    #[error("serving failed")]
    Serving(#[source] BoxError),
}

/// A TLS proxy, ready to be served.
#[derive(Clone)]
pub struct Proxy {
    handshake: Handshake,
    forward: Arc<Forward>,
    upstream: Upstream,
    limits: Limits,
}

/// Serves the proxy on a listener until the shutdown, then drains.
pub async fn serve(config: Config, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    Proxy::new(&config)?.serve(listener, shutdown).await
}

impl Proxy {
    /// Loads the certificate and takes on the settings; binds and connects to nothing.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(Error::Settings(problems));
        }
        let provider = tls::provider();
        let certified = certificate::load(config, &provider).map_err(Error::from)?;
        let server_config = tls::server_config(provider, certified, config.min_version)
            .map_err(|error| Error::one("certificate", format!("cannot be served: {error}")))?;
        let upstream = config.upstream.as_deref().unwrap_or_default();
        let upstream = Upstream::new(upstream, config.upstream_limits.clone())
            .map_err(|error| Error::one("upstream", error.to_string()))?;
        let inbound = if config.trust_forwarded {
            Inbound::Trusted
        } else {
            Inbound::Replaced
        };
        Ok(Self {
            handshake: Handshake::new(server_config, config.handshake_limit),
            forward: Arc::new(Forward::new(upstream.clone(), inbound)),
            upstream,
            limits: config.limits.clone(),
        })
    }

    /// Serves on a listener until the shutdown, then drains.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let Self {
            handshake,
            forward,
            limits,
            ..
        } = self;
        let transport = move |stream| {
            let handshake = handshake.clone();
            async move { handshake.accept(stream).await }
        };
        let service = move |request: ::http::Request<http::Body>| {
            let forward = Arc::clone(&forward);
            http::traced("proxy", request, move |request| async move {
                forward.answer(request).await
            })
        };
        http::serve_with(listener, transport, service, limits, shutdown)
            .await
            .map_err(Error::Serving)
    }

    /// Releases the latch as soon as something accepts connections at the upstream.
    pub(crate) async fn await_upstream(&self, latch: Latch) {
        while !self.upstream.reachable().await {
            sleep(UPSTREAM_POLL).await;
        }
        tracing::info!(upstream = %self.upstream.authority(), "upstream answers");
        latch.release();
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("upstream", &self.upstream)
            .finish_non_exhaustive()
    }
}

impl Error {
    /// The problems with the settings, if it is they that are wrong.
    pub fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Settings(problems) => problems,
            Self::Serving(_) => Vec::new(),
        }
    }

    fn one(setting: &str, message: String) -> Self {
        Self::Settings(vec![Problem::new(setting, message, "")])
    }
}

impl From<Vec<Fault>> for Error {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Settings(faults.into_iter().map(Problem::from).collect())
    }
}

fn sentences(problems: &[Problem]) -> String {
    let sentences: Vec<String> = problems
        .iter()
        .map(|problem| {
            format!(
                "`{}` {}; {}",
                problem.setting, problem.message, problem.hint
            )
        })
        .collect();
    sentences.join(". ")
}

const UPSTREAM_POLL: Duration = Duration::from_millis(100);
