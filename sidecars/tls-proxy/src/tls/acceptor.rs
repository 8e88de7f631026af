//! The acceptor: handshakes within limits, and certificates that are replaced while it runs.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use chassis::{HumanDuration, telemetry};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};
use rustls::{
    Error as TlsError, HandshakeKind, InvalidMessage, ProtocolVersion,
    server::{Acceptor, ServerConnection},
};
use rustls_pki_types::UnixTime;
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use super::{CertificateSet, ConnectionGuard, connections::Connections};
use crate::{Config, Network, identity::Identity, proxy_protocol};

/// Accepts TLS connections.
#[derive(Clone)]
pub(crate) struct TlsAcceptor(Arc<Shared>);

struct Shared {
    certificates: RwLock<Arc<CertificateSet>>,
    handshake_timeout: HumanDuration,
    handshakes: Semaphore,
    accept_proxy_protocol: bool,
    /// The senders of PROXY protocol headers; empty for any.
    proxy_protocol_sources: Vec<Network>,
    connections: Arc<Connections>,
    counters: Counters,
}

struct Counters {
    handshakes: Counter<u64>,
    rejected: Counter<u64>,
    expiry: Gauge<f64>,
    bytes: Counter<u64>,
}

/// A connection with a completed handshake.
pub(crate) struct Accepted {
    /// Boxed, because it is large and every future that holds it would be as large.
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    /// The client's address, from a PROXY protocol header or the connection.
    pub(crate) address: SocketAddr,
    /// The address the client connected to.
    pub(crate) local: SocketAddr,
    pub(crate) identity: Option<Identity>,
    pub(crate) guard: ConnectionGuard,
}

impl TlsAcceptor {
    pub(crate) fn new(certificates: CertificateSet, config: &Config) -> Self {
        let counters = Counters {
            handshakes: telemetry::counter(
                "tls_proxy.handshakes",
                "{handshake}",
                "TLS handshakes, by outcome.",
            ),
            rejected: telemetry::counter(
                "tls_proxy.refused",
                "{connection}",
                "Connections rejected before they are served, by reason.",
            ),
            expiry: telemetry::gauge(
                "tls_proxy.certificate.expiry",
                "s",
                "Expiry of each certificate, in seconds since 1970.",
            ),
            bytes: bytes_counter(),
        };

        let shared = Shared {
            certificates: RwLock::new(Arc::new(certificates)),
            handshake_timeout: config.handshake_timeout,
            handshakes: Semaphore::new(config.max_handshakes.clamp(1, Semaphore::MAX_PERMITS)),
            accept_proxy_protocol: config.accept_proxy_protocol,
            proxy_protocol_sources: config.proxy_protocol_sources.clone(),
            connections: Arc::new(Connections::new(config.max_connections_per_client)),
            counters,
        };

        let acceptor = Self(Arc::new(shared));
        acceptor.record_expirations();
        acceptor
    }

    /// Returns the counter of bytes.
    pub(crate) fn bytes(&self) -> Counter<u64> {
        self.0.counters.bytes.clone()
    }

    /// Returns the certificates in use.
    pub(crate) fn current(&self) -> Arc<CertificateSet> {
        Arc::clone(
            &self
                .0
                .certificates
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Uses these certificates for new connections; returns whether they differ from the current ones.
    pub(crate) fn replace(&self, certificates: CertificateSet) -> bool {
        // A touched file is not a new certificate: tickets and metrics stay as they are.
        if self.current().fingerprint == certificates.fingerprint {
            return false;
        }
        *self
            .0
            .certificates
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(certificates);
        self.record_expirations();
        true
    }

    fn record_expirations(&self) {
        let current = self.current();
        let mut earliest: HashMap<&str, i64> = HashMap::new();
        // Two certificates of a name share a time series: the one that expires first counts.
        for (name, end) in &current.expirations {
            let earlier = earliest.entry(name).or_insert(*end);
            *earlier = (*earlier).min(*end);
        }

        for (name, end) in earliest {
            let attributes = [KeyValue::new("name", name.to_owned())];
            self.0.counters.expiry.record(end as f64, &attributes);
        }
    }

    /// Performs the handshake within `handshake_timeout`.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<Accepted> {
        let limit = self.0.handshake_timeout;
        let accepting = timeout(limit.duration(), self.handshake(stream, address));
        let accepted = accepting
            .await
            .unwrap_or_else(|_| Err(timeout_error(limit)));
        let mut attributes = vec![KeyValue::new(
            "outcome",
            accepted.as_ref().map_or_else(outcome, |_| "completed"),
        )];

        if let Ok(accepted) = &accepted {
            let tls = accepted.stream.get_ref().1;
            attributes.push(KeyValue::new("version", version(tls)));
            attributes.push(KeyValue::new("resumed", is_resumed(tls)));
        }

        self.0.counters.handshakes.add(1, &attributes);
        accepted.map_err(explain)
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
        mut address: SocketAddr,
    ) -> io::Result<Accepted> {
        let local = stream.local_addr()?;
        if self.0.accept_proxy_protocol {
            // Before a byte is read: the sender of a header chooses the address that the app sees.
            self.require_proxy_protocol_source(address)?;
            let header = proxy_protocol::read_header(&mut stream).await;
            let header = header.inspect_err(|_| self.record_rejected("proxy_protocol"))?;
            address = header.unwrap_or(address);
        }

        // After the PROXY protocol header, so that the real client is counted and not the load balancer.
        let client = address.ip().to_canonical();
        let guard = self.0.connections.register(client);
        let guard = guard.inspect_err(|_| self.record_rejected("per_client"))?;
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;

        // Only after the ClientHello, so that silent clients do not use up the permits.
        let _permit = self
            .0
            .handshakes
            .acquire()
            .await
            .map_err(io::Error::other)?;
        let certificates = self.current();
        let hello = start.client_hello();
        let configs = certificates.choose(hello.server_name());
        let config = Arc::clone(configs.for_suites(hello.cipher_suites()));
        let stream = Box::new(start.into_stream(config).await?);
        let tls = stream.get_ref().1;
        let identity = tls
            .peer_certificates()
            .and_then(<[_]>::first)
            .and_then(Identity::from_certificate);

        // rustls does not verify the certificate of a resumed session again, so its expiry is checked here.
        if let Some(identity) = &identity
            && is_resumed(tls)
            && identity.not_after < UnixTime::now().as_secs() as i64
        {
            self.record_rejected("client_expired");
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the client certificate expired after the session began",
            ));
        }

        Ok(Accepted {
            stream,
            address,
            local,
            identity,
            guard,
        })
    }

    fn require_proxy_protocol_source(&self, address: SocketAddr) -> io::Result<()> {
        let sources = &self.0.proxy_protocol_sources;
        if sources.is_empty() || sources.iter().any(|source| source.contains(address.ip())) {
            return Ok(());
        }

        self.record_rejected("proxy_protocol_source");
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the sender is not in `proxy_protocol_sources`",
        ))
    }

    fn record_rejected(&self, reason: &'static str) {
        let attributes = [KeyValue::new("reason", reason)];
        self.0.counters.rejected.add(1, &attributes);
    }
}

/// Creates the counter of bytes.
pub(crate) fn bytes_counter() -> Counter<u64> {
    let description = "Decrypted bytes of closed connections, by direction.";
    telemetry::counter("tls_proxy.bytes", "By", description)
}

/// Returns the TLS version in the notation of OpenSSL: `TLSv1.3`.
pub(crate) fn version(tls: &ServerConnection) -> &'static str {
    match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    }
}

fn is_resumed(tls: &ServerConnection) -> bool {
    tls.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn outcome(error: &io::Error) -> &'static str {
    match error.kind() {
        // The kinds that `accept` and `handshake` themselves create come first.
        io::ErrorKind::TimedOut => "timed_out",
        io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied => "refused",
        _ if is_cleartext(error) => "cleartext",
        _ => "failed",
    }
}

fn explain(error: io::Error) -> io::Error {
    if is_cleartext(&error) {
        io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS")
    } else {
        error
    }
}

fn is_cleartext(error: &io::Error) -> bool {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<TlsError>());
    // A record with an unknown content type, such as the `G` of `GET`.
    matches!(
        cause,
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType))
    )
}

fn timeout_error(limit: HumanDuration) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no handshake within {limit}"),
    )
}
