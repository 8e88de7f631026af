//! An HTTP/1.1 client with a single connection, kept open between range requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::{Error, ErrorKind};

/// The addresses that the client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPolicy {
    /// Any address: the operator chooses the URL.
    Any,
    /// Only public addresses: a client of the service chooses the URL.
    PublicOnly,
}

/// The TLS configuration and address policy of connections.
#[derive(Clone)]
pub(crate) struct Network {
    tls: TlsConnector,
    policy: AddressPolicy,
}

impl Network {
    /// Creates a network that trusts the public certificate authorities and those given as PEM.
    pub(crate) fn new(
        policy: AddressPolicy,
        more_authorities: Option<&[u8]>,
    ) -> Result<Self, Error> {
        use rustls_pki_types::pem::PemObject as _;

        let tls_error = |error: String| {
            Error::new(ErrorKind::Usage, "cannot use the certificates of `ca_file`")
                .with_source(error)
        };
        let mut roots = RootCertStore::empty();

        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let more = more_authorities.unwrap_or_default();
        for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(more) {
            let certificate = certificate.map_err(|error| tls_error(error.to_string()))?;
            roots
                .add(certificate)
                .map_err(|error| tls_error(error.to_string()))?;
        }

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| tls_error(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();

        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            policy,
        })
    }

    /// Returns the same network with another address policy.
    pub(crate) fn with_policy(&self, policy: AddressPolicy) -> Self {
        Self {
            tls: self.tls.clone(),
            policy,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client {
            network: self.clone(),
            idle: None,
        }
    }

    async fn connect(&self, uri: &Uri) -> Result<Connection, Error> {
        let origin = Origin::from_uri(uri)?;
        let tcp = self.tcp(&origin).await?;
        // Requests are small and written at once; Nagle's algorithm would delay them.
        let _ = tcp.set_nodelay(true);
        if origin.scheme == Scheme::HTTP {
            return Connection::open(origin, tcp).await;
        }

        let name = ServerName::try_from(origin.host().to_owned())
            .map_err(|error| connection_error(&origin, error))?;
        let tls = self
            .tls
            .connect(name, tcp)
            .await
            .map_err(|error| connection_error(&origin, error))?;

        Connection::open(origin, tls).await
    }

    /// Connects to an allowed address of the host. The name is resolved once: a second lookup could
    /// return an address that was not checked (DNS rebinding).
    async fn tcp(&self, origin: &Origin) -> Result<TcpStream, Error> {
        let addresses = tokio::net::lookup_host((origin.host(), origin.port()))
            .await
            .map_err(|error| connection_error(origin, error))?;
        let (allowed, refused): (Vec<SocketAddr>, Vec<SocketAddr>) = addresses
            .partition(|address| self.policy == AddressPolicy::Any || is_public(address.ip()));

        if allowed.is_empty() && !refused.is_empty() {
            let host = origin.host();
            let message = format!("`{host}` is not a public address");
            return Err(Error::new(ErrorKind::SourceDenied, message));
        }

        TcpStream::connect(&*allowed)
            .await
            .map_err(|error| connection_error(origin, error))
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({:?})", self.policy)
    }
}

/// Sends requests sequentially and reuses the connection.
#[derive(Debug)]
pub(crate) struct Client {
    network: Network,
    idle: Option<Connection>,
}

impl Client {
    /// Sends a request with an absolute URL, and returns the response with an unread body.
    ///
    /// The next request reuses the connection only if the body was read to its end.
    pub(crate) async fn send(
        &mut self,
        request: &Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let result = timeout(limit, self.send_without_timeout(request)).await;
        result.unwrap_or_else(|_| {
            // The connection has an unfinished exchange, so it cannot be reused.
            self.idle = None;
            let host = request.uri().host().unwrap_or_default();
            Err(Error::new(
                ErrorKind::SourceNetwork,
                format!("`{host}` did not respond in time"),
            ))
        })
    }

    async fn send_without_timeout(
        &mut self,
        request: &Request<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let origin = Origin::from_uri(request.uri())?;
        if let Some(mut connection) = self.idle.take().filter(|idle| idle.origin == origin)
            && connection.sender.ready().await.is_ok()
            // The server may have closed it meanwhile; then the code below opens a new one.
            && let Ok(response) = connection.send(request).await
        {
            self.idle = Some(connection);
            return Ok(response);
        }

        let mut connection = self.network.connect(request.uri()).await?;
        let response = connection.send(request).await?;
        self.idle = Some(connection);
        Ok(response)
    }
}

#[derive(Debug)]
struct Connection {
    origin: Origin,
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Connection {
    async fn open<S>(origin: Origin, stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| connection_error(&origin, error))?;

        // Ends when the sender is dropped; `Drop` aborts it in case that takes too long.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self {
            origin,
            sender,
            driver: driver.abort_handle(),
        })
    }

    async fn send(&mut self, request: &Request<Bytes>) -> Result<Response<Incoming>, Error> {
        // The path alone is the request target for an origin server (RFC 9112, section 3.2.1).
        let mut copy = Request::new(Full::new(request.body().clone()));
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request
            .uri()
            .path_and_query()
            .map_or_else(|| Uri::from_static("/"), |path| Uri::from(path.clone()));
        *copy.headers_mut() = self.headers(request.headers());
        self.sender
            .send_request(copy)
            .await
            .map_err(|error| connection_error(&self.origin, error))
    }

    fn headers(&self, request_headers: &HeaderMap) -> HeaderMap {
        let mut headers = request_headers.clone();
        if let Ok(host) = HeaderValue::from_str(&self.origin.host_header()) {
            headers.insert(header::HOST, host);
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The scheme, host and port of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    fn from_uri(uri: &Uri) -> Result<Self, Error> {
        let parts = uri.scheme().cloned().zip(uri.authority().cloned());
        let (scheme, authority) = parts.ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{uri}` is not an absolute URL"))
        })?;
        Ok(Self { scheme, authority })
    }

    fn host(&self) -> &str {
        self.authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
    }

    fn port(&self) -> u16 {
        let default = if self.scheme == Scheme::HTTPS {
            443
        } else {
            80
        };
        self.authority.port_u16().unwrap_or(default)
    }

    fn host_header(&self) -> String {
        match self.authority.port_u16() {
            Some(port) => format!("{}:{port}", self.authority.host()),
            None => self.authority.host().to_owned(),
        }
    }
}

fn connection_error(
    origin: &Origin,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let message = format!("cannot connect to `{}`", origin.host());
    Error::new(ErrorKind::SourceNetwork, message).with_source(error)
}

/// Returns whether an address is on the public internet: not the host itself, a private network, the
/// cloud's metadata service, or a reserved range.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // The special-purpose ranges of RFC 6890 that `Ipv4Addr` has no stable method for: this
            // network, multicast and reserved, shared (RFC 6598), IETF assignments, benchmarks.
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || a == 0
                || a >= 224
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b & 0xfe) == 18))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Only global unicast, except 6to4 (2002::/16, which embeds IPv4 addresses), IETF
            // assignments such as Teredo (2001::/23), and documentation (2001:db8::/32).
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
        }
    }
}

const USER_AGENT: &str = concat!("thumbnail/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_private_and_reserved_addresses() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.3.4",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }

        // The task metadata endpoint of ECS.
        let metadata = std::net::Ipv4Addr::from([169, 254, 170, 2]);
        assert!(!is_public(metadata.into()));
    }

    #[test]
    fn accepts_public_addresses() {
        for address in ["1.1.1.1", "52.216.0.1", "2600:1f00::1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
