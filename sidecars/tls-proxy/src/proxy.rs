//! The proxy: created from settings, served on a listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::{HeaderValue, Request};
use chassis::{
    Latch, Problem, Readiness, Settings, SettingsError, Shutdown, accept_each,
    http::{self, Limits, OpenConnection, Protocol, Upstream},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    Config, Mode,
    certificate::{Material, SettingError},
    counting_stream::CountingStream,
    dev, expiry,
    forward::{AccessLog, HttpForwarder},
    forwarded_headers::{ClientContext, ForwardedPolicy},
    redirect::redirect_all,
    reload::{self, FileStamps, ReloadStatus},
    tcp::{TcpForwarder, TlsOriginator},
    tls::{self, CertificateSet, H2, TlsAcceptor},
};

/// The error of creating, serving or reloading a proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are invalid; contains every problem.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// The sockets of the proxy; [`serve`] also takes a single listener.
#[derive(Debug)]
pub struct Listeners {
    /// The socket of `listen`: TLS, or plain bytes in mode `originate`.
    pub main: TcpListener,
    /// The socket of `redirect_listen`, whose requests are redirected to HTTPS.
    pub redirect: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(main: TcpListener) -> Self {
        Self {
            main,
            redirect: None,
        }
    }
}

/// A TLS proxy that is ready to be served; clones share its state.
#[derive(Clone)]
pub struct Proxy(Arc<Inner>);

struct Inner {
    config: Config,
    /// The state of the files before they were read.
    stamps: FileStamps,
    handler: ModeHandler,
    reload_status: ReloadStatus,
}

/// The handler of connections for each mode.
enum ModeHandler {
    Http(TlsAcceptor, Arc<HttpForwarder>),
    Tcp(TlsAcceptor, Arc<TcpForwarder>),
    Originate(Arc<TlsOriginator>, Arc<TcpForwarder>),
}

/// Serves the proxy until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// The caller binds: `listen` and `redirect_listen` are not used. `readiness` gets the latches
/// `certificate` and `upstream` when this is called, not when the future is first polled. To reload
/// at another time than when a file changes, use [`Proxy`].
pub fn serve(
    config: Config,
    listeners: impl Into<Listeners>,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    let certificate = readiness.latch("certificate");
    let upstream = readiness.latch("upstream");
    let listeners = listeners.into();
    async move {
        let proxy = Proxy::new(&config)?;
        certificate.release();
        proxy
            .serve_with_latch(listeners, shutdown, readiness, upstream)
            .await;
        Ok(())
    }
}

/// Returns the problems of the files in the settings.
pub(crate) fn file_problems(config: &Config) -> Vec<Problem> {
    if config.dev_ca_file.is_some() {
        // The certificate is generated at the start, so there is nothing to check yet.
        return Vec::new();
    }

    let errors = match config.mode {
        Mode::Originate => config
            .target()
            .map(|target| TlsOriginator::new(config, &target).err()),
        Mode::Http | Mode::Tcp => Some(load_certificates(config, None).err()),
    };

    let errors = errors.flatten().unwrap_or_default();
    errors.into_iter().map(Problem::from).collect()
}

fn load_certificates(
    config: &Config,
    before: Option<&CertificateSet>,
) -> Result<CertificateSet, Vec<SettingError>> {
    let material = Material::load(config, &tls::provider())?;
    CertificateSet::new(config, &material, before)
}

impl Proxy {
    /// Validates the settings and loads the certificates; neither binds nor connects.
    pub fn new(config: &Config) -> Result<Self, Error> {
        SettingsError::from_problems(config.problems())?;

        let mut config = config.clone();
        if let Some(ca_file) = &config.dev_ca_file {
            let pem = dev::certificate(ca_file).map_err(|reason| {
                let hint = "set the path of a file that this process can write";
                SettingsError::new("dev_ca_file", reason, hint)
            })?;
            config.certificate = pem;
        }

        // Before the files are read, so that a change in between is noticed later.
        let stamps = reload::read_stamps(&config.files());
        let target = || {
            let problem = || Error::setting("upstream", "is not an address".to_owned());
            config.target().ok_or_else(problem)
        };
        let handler = match config.mode {
            Mode::Http => {
                let certificates = load_certificates(&config, None)?;
                ModeHandler::Http(
                    TlsAcceptor::new(certificates, &config),
                    http_forwarder(&config)?.into(),
                )
            }
            Mode::Tcp => {
                let certificates = load_certificates(&config, None)?;
                let forwarder = TcpForwarder::new(&config, target()?);
                ModeHandler::Tcp(TlsAcceptor::new(certificates, &config), forwarder.into())
            }
            Mode::Originate => {
                let forwarder = TcpForwarder::new(&config, target()?);
                ModeHandler::Originate(
                    TlsOriginator::new(&config, forwarder.target())?.into(),
                    forwarder.into(),
                )
            }
        };

        Ok(Self(Arc::new(Inner {
            config,
            stamps,
            handler,
            reload_status: ReloadStatus::new(),
        })))
    }

    /// Serves until the shutdown, then drains; reloads changed files meanwhile.
    ///
    /// `readiness` gets the latch `upstream` when this is called.
    pub fn serve(
        self,
        listeners: impl Into<Listeners>,
        shutdown: Shutdown,
        readiness: Readiness,
    ) -> impl Future<Output = ()> + Send {
        let upstream = readiness.latch("upstream");
        self.serve_with_latch(listeners.into(), shutdown, readiness, upstream)
    }

    async fn serve_with_latch(
        self,
        listeners: Listeners,
        shutdown: Shutdown,
        readiness: Readiness,
        upstream: Latch,
    ) {
        // A second shutdown, because the upstream may need to stop before the proxy stops accepting.
        let (trigger, stopping) = Shutdown::pair();
        let stop = async {
            shutdown.wait().await;
            self.wait_until_upstream_stops().await;
            trigger.fire();
            std::future::pending::<()>().await;
        };
        let serving = async {
            // In a task, so that it runs on a worker thread even if the caller blocks on this future.
            let mut tasks = JoinSet::new();
            tasks.spawn(self.clone().run(listeners.main, stopping.clone()));
            if let Some(listener) = listeners.redirect {
                let config = &self.0.config;
                let (port, limits) = (config.redirect_port, config.limits.clone());
                tasks.spawn(redirect_all(listener, port, limits, stopping.clone()));
            }
            tasks.join_all().await;
        };

        // Only `serving` ends, after its drain; the others are dropped then.
        tokio::select! {
            () = serving => {}
            () = stop => {}
            () = self.wait_until_upstream_accepts(upstream) => {}
            () = expiry::report(&self, &readiness) => {}
            () = reload::watch(&self, self.0.stamps.clone()) => {}
        }
    }

    async fn run(self, listener: TcpListener, shutdown: Shutdown) {
        let config = &self.0.config;
        let limits = Limits {
            max_connection_age: (!config.max_connection_age.is_zero())
                .then_some(config.max_connection_age),
            ..config.limits.clone()
        };

        match &self.0.handler {
            ModeHandler::Http(acceptor, forwarder) => {
                let open = |stream, address| {
                    let (acceptor, forwarder) = (acceptor.clone(), Arc::clone(forwarder));
                    open_connection(acceptor, forwarder, stream, address)
                };
                http::serve_connections(listener, open, limits, shutdown).await;
            }
            ModeHandler::Tcp(acceptor, forwarder) => {
                let handle = |stream, address| {
                    let (acceptor, forwarder) = (acceptor.clone(), Arc::clone(forwarder));
                    async move { forwarder.terminate(&acceptor, stream, address).await }
                };
                accept_each(listener, &limits, shutdown, handle).await;
            }
            ModeHandler::Originate(originator, forwarder) => {
                let handle = |stream, address| {
                    let (originator, forwarder) = (Arc::clone(originator), Arc::clone(forwarder));
                    async move { forwarder.originate(&originator, stream, address).await }
                };
                accept_each(listener, &limits, shutdown, handle).await;
            }
        }
    }

    /// Reloads certificates, authorities and revocation lists, and uses them for new connections.
    ///
    /// Returns whether anything changed. On an error everything stays in use as before.
    pub fn reload(&self) -> Result<bool, Error> {
        let config = &self.0.config;
        let outcome = match &self.0.handler {
            ModeHandler::Http(acceptor, _) | ModeHandler::Tcp(acceptor, _) => {
                let before = acceptor.current();
                load_certificates(config, Some(&before))
                    .map(|certificates| acceptor.replace(certificates))
            }
            ModeHandler::Originate(originator, _) => originator.reload(config).map(|()| true),
        };

        let outcome = outcome.map_err(Error::from);
        self.0.reload_status.record(&outcome);
        outcome
    }

    /// Returns the error of the last reload, if it failed.
    pub fn last_reload_error(&self) -> Option<String> {
        self.0.reload_status.last_error()
    }

    /// Returns the first name and the expiry of each certificate, in seconds since 1970.
    pub fn certificate_expirations(&self) -> Vec<(String, i64)> {
        match &self.0.handler {
            ModeHandler::Http(acceptor, _) | ModeHandler::Tcp(acceptor, _) => {
                acceptor.current().expirations.clone()
            }
            ModeHandler::Originate(..) => Vec::new(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    async fn is_upstream_reachable(&self) -> bool {
        match &self.0.handler {
            ModeHandler::Http(_, forwarder) => forwarder.upstream.is_reachable().await,
            ModeHandler::Tcp(_, forwarder) | ModeHandler::Originate(_, forwarder) => {
                forwarder.is_reachable().await
            }
        }
    }

    /// Releases the latch as soon as the upstream accepts connections; never returns.
    async fn wait_until_upstream_accepts(&self, latch: Latch) {
        while !self.is_upstream_reachable().await {
            sleep(UPSTREAM_POLL_INTERVAL).await;
        }
        tracing::info!(
            upstream = self.0.config.upstream,
            "upstream accepts connections"
        );
        latch.release();
        std::future::pending::<()>().await;
    }

    /// Resolves when the upstream accepts no more connections, or after `upstream_drain_timeout`.
    async fn wait_until_upstream_stops(&self) {
        let limit = self.0.config.upstream_drain_timeout;
        // Disabled.
        if limit.is_zero() {
            return;
        }

        let started = Instant::now();
        tracing::info!(%limit, "waiting for the upstream to stop");
        while started.elapsed() < limit.duration() {
            if !self.is_upstream_reachable().await {
                let waited = started.elapsed().as_millis() as u64;
                tracing::info!(ms = waited, "upstream stopped");
                return;
            }
            sleep(UPSTREAM_POLL_INTERVAL).await;
        }

        tracing::warn!(%limit, "upstream did not stop within `upstream_drain_timeout`");
    }
}

async fn open_connection(
    acceptor: TlsAcceptor,
    forwarder: Arc<HttpForwarder>,
    stream: TcpStream,
    address: SocketAddr,
) -> std::io::Result<
    OpenConnection<
        impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        impl Fn(Request<http::Body>) -> ResponseFuture + Clone + Send + Sync + 'static,
    >,
> {
    let accepted = acceptor.accept(stream, address).await?;
    // ALPN alone decides: guessing from bytes would allow protocol confusion (RFC 7301).
    let is_h2 = accepted.stream.get_ref().1.alpn_protocol() == Some(H2);
    let protocol = if is_h2 {
        Protocol::Http2
    } else {
        Protocol::Http1
    };

    let client = ClientContext::new(
        accepted.address.ip(),
        accepted.identity.as_ref(),
        accepted.guard,
    );
    let client = Arc::new(client);
    let service = move |request| -> ResponseFuture {
        let (forwarder, client) = (Arc::clone(&forwarder), Arc::clone(&client));
        Box::pin(http::trace_request(
            "proxy",
            request,
            move |request| async move { forwarder.answer(request, &client).await },
        ))
    };

    Ok(OpenConnection {
        io: CountingStream::new(accepted.stream, acceptor.bytes()),
        protocol,
        address: accepted.address,
        service,
    })
}

/// Boxed, so that a connection between requests does not hold the memory of one.
type ResponseFuture =
    std::pin::Pin<Box<dyn Future<Output = ::http::Response<http::Body>> + Send + 'static>>;

fn http_forwarder(config: &Config) -> Result<HttpForwarder, Error> {
    let base = config.upstream.as_deref().unwrap_or_default();
    let limits = config.upstream_limits.clone();
    let upstream = Upstream::with_protocol(config.upstream_protocol, base, limits)
        .map_err(|error| Error::setting("upstream", error.to_string()))?;
    let hsts = config.hsts.as_deref().map(HeaderValue::from_str);
    let hsts = hsts
        .transpose()
        .map_err(|error| Error::setting("hsts", error.to_string()))?;

    Ok(HttpForwarder {
        upstream,
        forwarded_policy: if config.trust_forwarded {
            ForwardedPolicy::Append
        } else {
            ForwardedPolicy::Replace
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
    /// Returns the problems of the settings, if that is the error.
    pub fn into_problems(self) -> Vec<Problem> {
        match self {
            Self::Settings(error) => error.into_problems(),
        }
    }

    fn setting(setting: &str, message: String) -> Self {
        SettingsError::new(setting, message, "").into()
    }
}

impl From<Vec<SettingError>> for Error {
    fn from(errors: Vec<SettingError>) -> Self {
        let problems = errors.into_iter().map(Problem::from);
        Self::Settings(problems.collect::<SettingsError>())
    }
}

const UPSTREAM_POLL_INTERVAL: Duration = Duration::from_millis(100);
