//! Raw connections: TLS in and its bytes out, or bytes in and TLS out.

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
    certificate::{CertificateError, Fault, Material, upstream_roots},
    counted,
    forward::AccessLog,
    pipe::{Carried, carry},
    proxy_protocol::{self, Told},
    reload::Said,
    target::Target,
    tls::{self, Accepted, Handshake},
};

/// Carries raw connections to one next hop.
pub(crate) struct Raw {
    target: Target,
    connect: Duration,
    idle: Duration,
    lifetime: Option<Duration>,
    send: SendProxyProtocol,
    log: AccessLog,
    said: Said,
    bytes: Counter<u64>,
    ended: Counter<u64>,
}

impl Raw {
    pub(crate) fn new(config: &Config, target: Target) -> Self {
        Self {
            target,
            connect: config.upstream_limits.connect.duration(),
            idle: config.limits.stall.duration(),
            lifetime: (!config.lifetime.is_zero()).then(|| config.lifetime.duration()),
            send: config.send_proxy_protocol,
            log: AccessLog::new(config.access_log),
            said: Said::default(),
            bytes: tls::bytes_counter(),
            ended: telemetry::counter(
                "tls_proxy.raw_connections",
                "{connection}",
                "Raw connections by how they ended.",
            ),
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) async fn is_reachable(&self) -> bool {
        self.target.connect(self.connect).await.is_ok()
    }

    /// TLS in, bytes out.
    pub(crate) async fn terminate(
        &self,
        handshake: &Handshake,
        stream: TcpStream,
        address: SocketAddr,
    ) {
        // Boxed: an open connection should not keep the room its handshake took.
        let accepting = Box::pin(async {
            let mut accepted = handshake.accept(stream, address).await?;
            match self.to_next_hop(&accepted).await {
                Ok(next_hop) => Ok((accepted, next_hop)),
                Err(error) => {
                    // The client is told that this is an end, not a connection cut.
                    let _ = accepted.stream.shutdown().await;
                    self.refused(&error);
                    Err(error)
                }
            }
        });

        match accepting.await {
            Ok((mut accepted, mut next_hop)) => {
                let client = accepted.address;
                self.carry(&mut accepted.stream, &mut next_hop, client)
                    .await;
            }
            Err(error) => tracing::debug!(peer = %address, %error, "connection not opened"),
        }
    }

    /// Bytes in, TLS out.
    pub(crate) async fn originate(
        &self,
        outward: &Outward,
        mut stream: TcpStream,
        address: SocketAddr,
    ) {
        let opening = Box::pin(async {
            let next_hop = self.target.connect(self.connect).await?;
            outward.connect(next_hop).await
        });
        match opening.await {
            Ok(mut next_hop) => self.carry(&mut stream, &mut next_hop, address).await,
            Err(error) => self.refused(&error),
        }
    }

    async fn to_next_hop(&self, accepted: &Accepted) -> io::Result<TcpStream> {
        let mut next_hop = self.target.connect(self.connect).await?;
        let (source, target) = (accepted.address, accepted.local);
        let header = match self.send {
            SendProxyProtocol::Off => return Ok(next_hop),
            SendProxyProtocol::V1 => proxy_protocol::v1(source, target),
            SendProxyProtocol::V2 => {
                let tls = accepted.stream.get_ref().1;
                let cipher = tls.negotiated_cipher_suite();
                let cipher = cipher.and_then(|suite| suite.suite().as_str());
                let owner = accepted.identity.as_ref();
                let told = Told {
                    alpn: tls.alpn_protocol(),
                    server_name: tls.server_name(),
                    version: tls::version(tls),
                    cipher: cipher.unwrap_or_default(),
                    is_verified: owner.is_some(),
                    common_name: owner.and_then(|owner| owner.common_name.as_deref()),
                };
                proxy_protocol::v2(source, target, &told)
            }
        };

        next_hop.write_all(&header).await?;
        Ok(next_hop)
    }

    async fn carry<A, B>(&self, client: &mut A, next_hop: &mut B, address: SocketAddr)
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let (carried, started) = (Carried::default(), Instant::now());
        let carrying = carry(client, next_hop, &carried, self.idle);
        let ended = match self.lifetime {
            None => carrying.await,
            Some(lifetime) => timeout(lifetime, carrying).await.unwrap_or_else(|_| {
                let kind = io::ErrorKind::TimedOut;
                Err(io::Error::new(kind, "lived as long as `lifetime` lets it"))
            }),
        };

        let (up, down) = (
            carried.up.load(Ordering::Relaxed),
            carried.down.load(Ordering::Relaxed),
        );

        counted::add(&self.bytes, up, down);
        self.count(if ended.is_ok() { "completed" } else { "broken" });
        if let Err(error) = &ended {
            tracing::debug!(peer = %address, %error, "connection failed");
        }

        if self.log.takes() {
            let ms = started.elapsed().as_millis() as u64;
            let error = ended.err().map(|error| error.to_string());
            tracing::info!(client = %address.ip().to_canonical(), up, down, ms, error, "connection");
        }
    }

    fn refused(&self, error: &io::Error) {
        self.count("no_next_hop");
        // Every client meets the same fault; it is worth one line.
        if self.said.is_news(&error.to_string()) {
            tracing::warn!(next_hop = %self.target, %error, "the next hop cannot be reached");
        }
    }

    fn count(&self, outcome: &'static str) {
        let attributes = [KeyValue::new("outcome", outcome)];
        self.ended.add(1, &attributes);
    }
}

/// TLS to the next hop, verified.
pub(crate) struct Outward {
    config: RwLock<Arc<ClientConfig>>,
    name: ServerName<'static>,
    limit: Duration,
}

impl Outward {
    pub(crate) fn new(config: &Config, target: &Target) -> Result<Self, Vec<Fault>> {
        let name = config.upstream_name.as_deref().unwrap_or(&target.host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let setting = if config.upstream_name.is_some() {
                "upstream_name"
            } else {
                "upstream"
            };

            let error = CertificateError::BadName(name.to_owned());
            vec![Fault::new(setting, error)]
        })?;

        Ok(Self {
            config: RwLock::new(Self::read(config)?),
            name,
            limit: config.handshake_limit.duration(),
        })
    }

    /// Reads the authorities, and the certificate to be shown, once more.
    pub(crate) fn renew(&self, config: &Config) -> Result<(), Vec<Fault>> {
        let renewed = Self::read(config)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    fn read(config: &Config) -> Result<Arc<ClientConfig>, Vec<Fault>> {
        let provider = tls::provider();
        let roots = upstream_roots(config.upstream_ca_file.as_deref());
        let material = Material::load(config, &provider);
        let (roots, material) = match (roots, material) {
            (Ok(roots), Ok(material)) => (roots, material),
            (roots, material) => {
                let roots = roots.err().into_iter();
                return Err(roots.chain(material.err().unwrap_or_default()).collect());
            }
        };

        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(tls::versions(config.min_version))
            .map_err(|error| {
                let error = CertificateError::Refused(error.to_string());
                vec![Fault::new("min_version", error)]
            })?
            .with_root_certificates(roots);

        let mut made = match material.certificates.into_iter().next() {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let certified = SingleCertAndKey::from(shown.certified);
                builder.with_client_cert_resolver(Arc::new(certified))
            }
        };

        made.alpn_protocols = config
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();

        Ok(Arc::new(made))
    }

    async fn connect(&self, stream: TcpStream) -> io::Result<Box<client::TlsStream<TcpStream>>> {
        let config = Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner));
        let connecting = TlsConnector::from(config).connect(self.name.clone(), stream);
        let connected = timeout(self.limit, connecting).await;
        let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
        Ok(Box::new(connected.map_err(|_| too_slow())??))
    }
}
