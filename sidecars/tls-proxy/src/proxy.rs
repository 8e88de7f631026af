//! The proxy as one value: made from settings, served on a listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::{HeaderValue, Request};
use chassis::{
    BoxError, Latch, Problem, Settings, Shutdown, accept_each,
    http::{self, Limits, Opened, Protocol, Upstream},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use crate::{
    Config, Mode,
    certificate::{Fault, Material},
    counted::Counted,
    dev,
    forward::{AccessLog, Client, Forward, Inbound},
    raw::{Outward, Raw},
    reload::{self, Reloads, Stamps},
    tls::{self, H2, Handshake, Snapshot},
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

/// A TLS proxy, ready to be served; clones are the same proxy.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    config: Config,
    /// Of the files as they were before they were read.
    stamps: Stamps,
    side: Side,
    reloads: Reloads,
}

/// Which side of the proxy TLS is on, and what is inside it.
enum Side {
    Http(Handshake, Arc<Forward>),
    Tcp(Handshake, Arc<Raw>),
    Originate(Arc<Outward>, Arc<Raw>),
}

/// Serves the proxy on a listener until the shutdown, then drains.
pub async fn serve(config: Config, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
    Proxy::new(&config)?.serve(listener, shutdown).await
}

/// Everything that is wrong with the files the settings name.
pub(crate) fn problems_of_files(config: &Config) -> Vec<Problem> {
    if config.dev_ca_file.is_some() {
        // Nothing is there before the start.
        return Vec::new();
    }

    let faults = match config.mode {
        Mode::Originate => config
            .target()
            .map(|target| Outward::new(config, &target).err()),
        Mode::Http | Mode::Tcp => Some(snapshot(config, None).err()),
    };

    let faults = faults.flatten().unwrap_or_default();
    faults.into_iter().map(Problem::from).collect()
}

fn snapshot(config: &Config, before: Option<&Snapshot>) -> Result<Snapshot, Vec<Fault>> {
    let material = Material::load(config, &tls::provider())?;
    Snapshot::new(config, &material, before)
}

impl Proxy {
    /// Loads the certificates and takes on the settings; binds and connects to nothing.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(Error::Settings(problems));
        }

        let mut config = config.clone();
        if let Some(ca_file) = &config.dev_ca_file {
            let made = dev::certificate(ca_file).map_err(|why| {
                let hint = "name a file that this process can write";
                Error::Settings(vec![Problem::new("dev_ca_file", why, hint)])
            })?;
            config.certificate = made;
        }

        let stamps = reload::stamps(&config.files());
        let target = || {
            let problem = || Error::one("upstream", "is no address".to_owned());
            config.target().ok_or_else(problem)
        };
        let side = match config.mode {
            Mode::Http => {
                let shown = snapshot(&config, None)?;
                Side::Http(Handshake::new(shown, &config), forward(&config)?.into())
            }
            Mode::Tcp => {
                let shown = snapshot(&config, None)?;
                let raw = Raw::new(&config, target()?);
                Side::Tcp(Handshake::new(shown, &config), raw.into())
            }
            Mode::Originate => {
                let raw = Raw::new(&config, target()?);
                Side::Originate(Outward::new(&config, raw.target())?.into(), raw.into())
            }
        };

        Ok(Self(Arc::new(Inner {
            config,
            stamps,
            side,
            reloads: Reloads::new(),
        })))
    }

    /// Serves on a listener until the shutdown, then drains; meanwhile files that change are reloaded.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let watching = reload::watch(&self, self.0.stamps.clone());
        tokio::select! {
            () = self.carry(listener, shutdown) => Ok(()),
            () = watching => Ok(()),
        }
    }

    async fn carry(&self, listener: TcpListener, shutdown: Shutdown) {
        let config = &self.0.config;
        let limits = Limits {
            lifetime: (!config.lifetime.is_zero()).then_some(config.lifetime),
            ..config.limits.clone()
        };

        match &self.0.side {
            Side::Http(handshake, forward) => {
                let open = |stream, address| {
                    let (handshake, forward) = (handshake.clone(), Arc::clone(forward));
                    opened(handshake, forward, stream, address)
                };
                http::serve_opened(listener, open, limits, shutdown).await;
            }
            Side::Tcp(handshake, raw) => {
                let handle = |stream, address| {
                    let (handshake, raw) = (handshake.clone(), Arc::clone(raw));
                    async move { raw.terminate(&handshake, stream, address).await }
                };
                accept_each(listener, &limits, shutdown, handle).await;
            }
            Side::Originate(outward, raw) => {
                let handle = |stream, address| {
                    let (outward, raw) = (Arc::clone(outward), Arc::clone(raw));
                    async move { raw.originate(&outward, stream, address).await }
                };
                accept_each(listener, &limits, shutdown, handle).await;
            }
        }
    }

    /// Reads certificates, authorities and revocation lists again, and shows them to new connections if
    /// all of them can be used; otherwise everything stays as it is. Says whether anything is new.
    pub fn reload(&self) -> Result<bool, Error> {
        let config = &self.0.config;
        let outcome = match &self.0.side {
            Side::Http(handshake, _) | Side::Tcp(handshake, _) => {
                let before = handshake.shown();
                snapshot(config, Some(&before)).map(|shown| handshake.show(shown))
            }
            Side::Originate(outward, _) => outward.renew(config).map(|()| true),
        };

        let outcome = outcome.map_err(Error::from);
        self.0.reloads.note(&outcome);
        outcome
    }

    /// Why the last reload failed, if it did.
    pub fn reload_fault(&self) -> Option<String> {
        self.0.reloads.fault()
    }

    /// The first name of each certificate, and when it ends, in seconds since 1970.
    pub fn certificate_ends(&self) -> Vec<(String, i64)> {
        match &self.0.side {
            Side::Http(handshake, _) | Side::Tcp(handshake, _) => handshake.shown().ends.clone(),
            Side::Originate(..) => Vec::new(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    async fn upstream_is_there(&self) -> bool {
        match &self.0.side {
            Side::Http(_, forward) => forward.upstream.reachable().await,
            Side::Tcp(_, raw) | Side::Originate(_, raw) => raw.is_reachable().await,
        }
    }

    /// Releases the latch as soon as something accepts connections at the upstream.
    pub(crate) async fn await_upstream(&self, latch: Latch) {
        while !self.upstream_is_there().await {
            sleep(UPSTREAM_POLL).await;
        }
        tracing::info!(upstream = self.0.config.upstream, "upstream answers");
        latch.release();
    }

    /// Resolves when nothing accepts at the upstream any more, or the time for that is over.
    pub(crate) async fn await_upstream_gone(&self) {
        let limit = self.0.config.wait_for_upstream;
        if limit.is_zero() {
            return;
        }

        let started = Instant::now();
        tracing::info!(%limit, "waiting for the upstream to stop");
        while started.elapsed() < limit.duration() {
            if !self.upstream_is_there().await {
                let waited = started.elapsed().as_millis() as u64;
                tracing::info!(ms = waited, "the upstream has stopped");
                return;
            }
            sleep(UPSTREAM_POLL).await;
        }

        tracing::warn!(%limit, "the upstream has not stopped within `wait_for_upstream`");
    }
}

async fn opened(
    handshake: Handshake,
    forward: Arc<Forward>,
    stream: TcpStream,
    address: SocketAddr,
) -> std::io::Result<
    Opened<
        impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        impl Fn(Request<http::Body>) -> Answering + Clone + Send + Sync + 'static,
    >,
> {
    let accepted = handshake.accept(stream, address).await?;
    let is_h2 = accepted.stream.get_ref().1.alpn_protocol() == Some(H2);
    let protocol = if is_h2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    };

    let client = Client::new(
        accepted.address.ip(),
        accepted.identity.as_ref(),
        accepted.open,
    );
    let client = Arc::new(client);
    let service = move |request| -> Answering {
        let (forward, client) = (Arc::clone(&forward), Arc::clone(&client));
        Box::pin(http::traced("proxy", request, move |request| async move {
            forward.answer(request, &client).await
        }))
    };

    Ok(Opened {
        io: Counted::new(accepted.stream, handshake.bytes()),
        protocol,
        address: accepted.address,
        service,
    })
}

/// Boxed, so that a connection between requests does not keep the room of one.
type Answering =
    std::pin::Pin<Box<dyn Future<Output = ::http::Response<http::Body>> + Send + 'static>>;

fn forward(config: &Config) -> Result<Forward, Error> {
    let base = config.upstream.as_deref().unwrap_or_default();
    let limits = config.upstream_limits.clone();
    let upstream = Upstream::speaking(config.upstream_protocol, base, limits)
        .map_err(|error| Error::one("upstream", error.to_string()))?;
    let hsts = config.hsts.as_deref().map(HeaderValue::from_str);
    let hsts = hsts
        .transpose()
        .map_err(|error| Error::one("hsts", error.to_string()))?;

    Ok(Forward {
        upstream,
        inbound: if config.trust_forwarded {
            Inbound::Trusted
        } else {
            Inbound::Replaced
        },
        hsts,
        log: AccessLog::new(config.access_log),
    })
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("mode", &self.0.config.mode)
            .field("upstream", &self.0.config.upstream)
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
