//! The modes `tcp` (TLS in, bytes out) and `originate` (bytes in, TLS out).

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
    time::{Duration, Instant},
};

use chassis::telemetry;
use opentelemetry::{KeyValue, metrics::Counter};
use rustls::{ClientConfig, sign::SingleCertAndKey};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client};

use crate::{
    Config, SendProxyProtocol,
    certificate::{CertificateError, Material, SettingError, upstream_roots},
    counting_stream,
    forward::AccessLog,
    pipe::{BytesCopied, copy},
    proxy_protocol::{self, TlsInfo},
    reload::LastMessage,
    target::Target,
    tls::{self, Accepted, TlsAcceptor},
};

/// Forwards the bytes of connections to one next hop.
pub(crate) struct TcpForwarder {
    target: Target,
    connect_timeout: Duration,
    idle_timeout: Duration,
    max_age: Option<Duration>,
    proxy_protocol: SendProxyProtocol,
    log: AccessLog,
    last_error: LastMessage,
    bytes: Counter<u64>,
    ended: Counter<u64>,
}

impl TcpForwarder {
    pub(crate) fn new(config: &Config, target: Target) -> Self {
        Self {
            target,
            connect_timeout: config.upstream_limits.connect_timeout.duration(),
            idle_timeout: config.limits.stall_timeout.duration(),
            max_age: (!config.max_connection_age.is_zero())
                .then(|| config.max_connection_age.duration()),
            proxy_protocol: config.send_proxy_protocol,
            log: AccessLog::new(config.access_log),
            last_error: LastMessage::default(),
            bytes: tls::bytes_counter(),
            ended: telemetry::counter(
                "tls_proxy.raw_connections",
                "{connection}",
                "Connections in the modes tcp and originate, by outcome.",
            ),
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) async fn is_reachable(&self) -> bool {
        self.target.connect(self.connect_timeout).await.is_ok()
    }

    /// Terminates TLS and forwards the bytes.
    pub(crate) async fn terminate(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
        address: SocketAddr,
    ) {
        // Boxed, so that an open connection does not hold the memory its handshake needed.
        let accepting = Box::pin(async {
            let mut accepted = acceptor.accept(stream, address).await?;
            match self.connect_next_hop(&accepted).await {
                Ok(next_hop) => Ok((accepted, next_hop)),
                Err(error) => {
                    // `close_notify` tells the client that this is an end, not a truncation (RFC 8446 section 6.1).
                    let _ = accepted.stream.shutdown().await;
                    self.record_unreachable(&error);
                    Err(error)
                }
            }
        });

        match accepting.await {
            Ok((mut accepted, mut next_hop)) => {
                let client = accepted.address;
                self.forward(&mut accepted.stream, &mut next_hop, client)
                    .await;
            }
            Err(error) => tracing::debug!(peer = %address, %error, "cannot open the connection"),
        }
    }

    /// Accepts bytes and forwards them over TLS.
    pub(crate) async fn originate(
        &self,
        originator: &TlsOriginator,
        mut stream: TcpStream,
        address: SocketAddr,
    ) {
        // The next hop first: the client gets no byte before its certificate is verified.
        let opening = Box::pin(async {
            let next_hop = self.target.connect(self.connect_timeout).await?;
            originator.connect(next_hop).await
        });
        match opening.await {
            Ok(mut next_hop) => self.forward(&mut stream, &mut next_hop, address).await,
            Err(error) => self.record_unreachable(&error),
        }
    }

    async fn connect_next_hop(&self, accepted: &Accepted) -> io::Result<TcpStream> {
        let mut next_hop = self.target.connect(self.connect_timeout).await?;
        let (source, target) = (accepted.address, accepted.local);
        let header = match self.proxy_protocol {
            SendProxyProtocol::Off => return Ok(next_hop),
            SendProxyProtocol::V1 => proxy_protocol::encode_v1(source, target),
            SendProxyProtocol::V2 => {
                let tls = accepted.stream.get_ref().1;
                let cipher = tls.negotiated_cipher_suite();
                let cipher = cipher.and_then(|suite| suite.suite().as_str());
                let owner = accepted.identity.as_ref();
                let info = TlsInfo {
                    alpn: tls.alpn_protocol(),
                    server_name: tls.server_name(),
                    version: tls::version(tls),
                    cipher: cipher.unwrap_or_default(),
                    is_verified: owner.is_some(),
                    common_name: owner.and_then(|owner| owner.common_name.as_deref()),
                };
                proxy_protocol::encode_v2(source, target, &info)
            }
        };

        // The specification requires the header before any other byte.
        next_hop.write_all(&header).await?;
        Ok(next_hop)
    }

    async fn forward<A, B>(&self, client: &mut A, next_hop: &mut B, address: SocketAddr)
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let (copied, started) = (BytesCopied::default(), Instant::now());
        let copying = copy(client, next_hop, &copied, self.idle_timeout);
        let ended = match self.max_age {
            None => copying.await,
            Some(max_age) => timeout(max_age, copying).await.unwrap_or_else(|_| {
                let kind = io::ErrorKind::TimedOut;
                Err(io::Error::new(kind, "reached `max_connection_age`"))
            }),
        };

        // Also counted if the connection failed, since the bytes were forwarded.
        let (up, down) = (
            copied.up.load(Ordering::Relaxed),
            copied.down.load(Ordering::Relaxed),
        );

        counting_stream::add(&self.bytes, up, down);
        self.record_end(if ended.is_ok() { "completed" } else { "broken" });
        if let Err(error) = &ended {
            tracing::debug!(peer = %address, %error, "connection failed");
        }

        if self.log.is_sampled() {
            let ms = started.elapsed().as_millis() as u64;
            let error = ended.err().map(|error| error.to_string());
            tracing::info!(client = %address.ip().to_canonical(), up, down, ms, error, "connection");
        }
    }

    fn record_unreachable(&self, error: &io::Error) {
        self.record_end("no_next_hop");
        // Every client causes the same error; one line is enough.
        if self.last_error.is_new(&error.to_string()) {
            tracing::warn!(next_hop = %self.target, %error, "cannot connect to the next hop");
        }
    }

    fn record_end(&self, outcome: &'static str) {
        let attributes = [KeyValue::new("outcome", outcome)];
        self.ended.add(1, &attributes);
    }
}

/// The TLS client for the next hop, which verifies its certificate.
pub(crate) struct TlsOriginator {
    config: RwLock<Arc<ClientConfig>>,
    name: ServerName<'static>,
    handshake_timeout: Duration,
}

impl TlsOriginator {
    pub(crate) fn new(config: &Config, target: &Target) -> Result<Self, Vec<SettingError>> {
        let name = config
            .upstream_server_name
            .as_deref()
            .unwrap_or(&target.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let setting = if config.upstream_server_name.is_some() {
                "upstream_server_name"
            } else {
                "upstream"
            };

            let error = CertificateError::InvalidName(name.to_owned());
            vec![SettingError::new(setting, error)]
        })?;

        Ok(Self {
            config: RwLock::new(Self::load(config)?),
            name,
            handshake_timeout: config.handshake_timeout.duration(),
        })
    }

    /// Reloads the authorities and the client certificate.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), Vec<SettingError>> {
        let client_config = Self::load(config)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = client_config;
        Ok(())
    }

    fn load(config: &Config) -> Result<Arc<ClientConfig>, Vec<SettingError>> {
        let provider = tls::provider(config);
        let roots = upstream_roots(config.upstream_ca_file.as_deref());
        let material = Material::load(config, &provider);
        let (roots, material) = match (roots, material) {
            (Ok(roots), Ok(material)) => (roots, material),
            // Both are loaded first, so that the errors of both are reported.
            (roots, material) => {
                let roots = roots.err().into_iter();
                return Err(roots.chain(material.err().unwrap_or_default()).collect());
            }
        };

        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(tls::versions(config.min_version))
            .map_err(|error| {
                let error = CertificateError::Unusable(error.to_string());
                vec![SettingError::new("min_version", error)]
            })?
            .with_root_certificates(roots);

        let mut client_config = match material.certificates.into_iter().next() {
            // The next hop may require a client certificate or not; without one, none is offered.
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                let certified = SingleCertAndKey::from(certificate.certified);
                builder.with_client_cert_resolver(Arc::new(certified))
            }
        };

        client_config.alpn_protocols = config
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();

        Ok(Arc::new(client_config))
    }

    async fn connect(&self, stream: TcpStream) -> io::Result<Box<client::TlsStream<TcpStream>>> {
        // Cloned, so that the lock is not held across the await.
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let connecting = TlsConnector::from(config).connect(self.name.clone(), stream);
        let connected = timeout(self.handshake_timeout, connecting).await;
        let timeout_error = || {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "no handshake within `handshake_timeout`",
            )
        };
        Ok(Box::new(connected.map_err(|_| timeout_error())??))
    }
}
