//! The TLS side: versions, ALPN, and handshakes with a limit.

use std::{io, sync::Arc};

use chassis::{Period, http::Protocol, telemetry};
use opentelemetry::{KeyValue, metrics::Counter};
use rustls::{
    Error as TlsError, InvalidMessage, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::MinVersion;

/// Makes TLS connections of TCP connections.
#[derive(Clone)]
pub(crate) struct Handshake {
    acceptor: TlsAcceptor,
    limit: Period,
    counter: Counter<u64>,
}

/// The crypto of this proxy; passed on explicitly, installed nowhere.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The TLS configuration for one certificate.
pub(crate) fn server_config(
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
    min_version: MinVersion,
) -> Result<Arc<ServerConfig>, TlsError> {
    let versions: &[&SupportedProtocolVersion] = match min_version {
        MinVersion::Tls12 => &[&TLS13, &TLS12],
        MinVersion::Tls13 => &[&TLS13],
    };
    // The first random byte may be slow; it must not be the first client that waits for it.
    provider.secure_random.fill(&mut [0; 32])?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    // Without a ticketer TLS 1.2 clients could not resume.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

impl Handshake {
    pub(crate) fn new(config: Arc<ServerConfig>, limit: Period) -> Self {
        let counter = telemetry::counter(
            "tls_proxy.handshakes",
            "{handshake}",
            "TLS handshakes by how they ended.",
        );
        Self {
            acceptor: TlsAcceptor::from(config),
            limit,
            counter,
        }
    }

    /// Shakes hands; the protocol is what ALPN agreed on.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Protocol)> {
        let accepting = timeout(self.limit.duration(), self.acceptor.accept(stream));
        let accepted = accepting
            .await
            .unwrap_or_else(|_| Err(too_slow(self.limit)));
        let outcome = accepted.as_ref().map_or_else(outcome, |_| "completed");
        self.counter.add(1, &[KeyValue::new("outcome", outcome)]);
        let stream = accepted.map_err(explained)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(H2);
        Ok((
            stream,
            if is_h2 {
                Protocol::Http2
            } else {
                Protocol::Http1
            },
        ))
    }
}

fn outcome(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::TimedOut => "timed_out",
        _ if is_cleartext(error) => "cleartext",
        _ => "failed",
    }
}

fn explained(error: io::Error) -> io::Error {
    if is_cleartext(&error) {
        io::Error::new(io::ErrorKind::InvalidData, "what arrived is not TLS")
    } else {
        error
    }
}

fn is_cleartext(error: &io::Error) -> bool {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<TlsError>());
    matches!(
        cause,
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType))
    )
}

fn too_slow(limit: Period) -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no handshake within {limit}"),
    )
}

const H2: &[u8] = b"h2";
