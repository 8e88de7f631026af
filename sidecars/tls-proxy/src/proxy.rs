//! The proxy: created from settings, served on a listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::{HeaderValue, Request};
use chassis::{
    Latch, Problem, Settings, SettingsError, Shutdown, accept_each,
    http::{self, Limits, OpenConnection, Protocol, Upstream},
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

use crate::{
    Config, Error, Mode,
    certificate::{Material, SettingError},
    client_certificate::CertificateHeaders,
    counting_stream::CountingStream,
    dev,
    forward::{AccessLog, HttpForwarder},
    forwarded_headers::{ClientContext, ForwardedPolicy},
    reload::{self, FileStamps, ReloadStatus},
    tcp::{TcpForwarder, TlsOriginator},
    tls::{self, CertificateSet, H2, TlsAcceptor},
};

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
    let material = Material::load(config, &tls::provider(config))?;
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

    /// Serves on a listener until the shutdown, then drains; reloads changed files meanwhile.
    ///
    /// In contrast to [`serve`](crate::serve), it neither tests whether the upstream is reachable nor waits for it to
    /// stop.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> Result<(), Error> {
        let watching = reload::watch(&self, self.0.stamps.clone());
        // `watch` never returns; it is dropped when serving ends.
        tokio::select! {
            () = self.clone().run(listener, shutdown) => Ok(()),
            () = watching => Ok(()),
        }
    }

    pub(crate) async fn run(self, listener: TcpListener, shutdown: Shutdown) {
        let config = &self.0.config;
        let limits = Limits {
            max_connection_age: (!config.max_connection_age.is_zero())
                .then_some(config.max_connection_age),
            websocket_over_http2: config.websocket_over_http2,
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

    pub(crate) fn stamps(&self) -> FileStamps {
        self.0.stamps.clone()
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
    pub(crate) async fn wait_until_upstream_accepts(&self, latch: Latch) {
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
    pub(crate) async fn wait_until_upstream_stops(&self) {
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

    let chain = accepted.stream.get_ref().1.peer_certificates();
    let certificate = accepted.identity.as_ref().map(|identity| {
        CertificateHeaders::new(identity, chain.unwrap_or_default(), forwarder.certificate)
    });
    let client = ClientContext::new(accepted.address.ip(), certificate, accepted.guard);
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
        certificate: config.forward_client_certificate,
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

const UPSTREAM_POLL_INTERVAL: Duration = Duration::from_millis(100);
