//! An HTTP/1.1 connection to one host, kept open between requests, with TLS for `https` URLs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chassis::BoxError;
use chassis::http::read_limited;
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// An error while setting up TLS for the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificate authorities cannot be read.
    #[error("cannot read `{path}` as PEM")]
    Pem {
        /// The file.
        path: String,
        /// The cause.
        source: PemError,
    },
    /// The file of certificate authorities has no usable certificate.
    #[error("`{path}` contains no usable certificate")]
    NoCertificates {
        /// The file.
        path: String,
    },
    /// The crypto provider does not support the default protocol versions.
    #[error("cannot configure TLS")]
    Configuration(#[from] rustls::Error),
    /// The host is not a valid server name.
    #[error("the host of the endpoint is neither a DNS name nor an IP address")]
    Name(#[from] InvalidDnsNameError),
}

/// The address and TLS configuration of a host.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    host: String,
    port: u16,
    host_header: HeaderValue,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection that opens on demand and reopens after an error.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// The task that drives the connection; dropping the set aborts it.
    _driver: JoinSet<()>,
}

/// A response, read completely.
#[derive(Debug)]
pub(crate) struct FullResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Target {
    /// Creates the target of a URL; `ca_file` is read only for `https`, and empty means the built-in
    /// roots.
    pub(crate) fn new(url: &Uri, ca_file: &str) -> Result<Self, TlsError> {
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        let host = url
            .host()
            .unwrap_or_default()
            // IPv6 literals are bracketed in URLs, but not in socket addresses and certificates.
            .trim_matches(['[', ']'])
            .to_owned();
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let authority = match (url.host(), url.port_u16()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };

        let host_header =
            HeaderValue::from_str(&authority).unwrap_or(HeaderValue::from_static("localhost"));
        let tls = if secure {
            let connector = TlsConnector::from(Arc::new(client_config(ca_file)?));
            Some(Tls {
                connector,
                name: ServerName::try_from(host.clone())?,
            })
        } else {
            None
        };

        Ok(Self {
            host,
            port,
            host_header,
            tls,
        })
    }

    async fn connect(&self) -> Result<Open, BoxError> {
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(CONNECT_TIMEOUT, connecting).await??;
        // Requests are written at once; Nagle's algorithm would only delay their last segment.
        stream.set_nodelay(true)?;
        match &self.tls {
            None => open(stream).await,
            Some(tls) => {
                let handshake = tls.connector.connect(tls.name.clone(), stream);
                open(timeout(CONNECT_TIMEOUT, handshake).await??).await
            }
        }
    }
}

async fn open<S>(stream: S) -> Result<Open, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the endpoint ended");
        }
    });

    Ok(Open {
        sender,
        _driver: driver,
    })
}

impl Connection {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, open: None }
    }

    /// Sends a request and reads the whole response; any error closes the connection.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<FullResponse, BoxError> {
        request
            .headers_mut()
            .insert(HOST, self.target.host_header.clone());

        let mut open = self.open.take();
        // The server may have closed an idle connection; then the request goes to a new one.
        if let Some(idle) = &mut open
            && idle.sender.ready().await.is_err()
        {
            open = None;
        }

        let reused = open.is_some();
        let mut open = match open {
            Some(open) => open,
            None => self.target.connect().await?,
        };

        let exchange = async {
            let response = match open.sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => match (error.take_message(), reused) {
                    // hyper returns the request only if nothing of it was written, so it cannot arrive
                    // twice (RFC 9110, section 9.2.2, on retrying POST).
                    (Some(request), true) => {
                        open = self.target.connect().await?;
                        open.sender.send_request(request).await?
                    }
                    _ => return Err(error.into_error().into()),
                },
            };

            let (head, body) = response.into_parts();
            let body = read_limited(body, MAX_RESPONSE_BYTES).await?;
            Ok::<_, BoxError>(FullResponse {
                status: head.status,
                headers: head.headers,
                body,
            })
        };

        let response = timeout(limit, exchange)
            .await
            .map_err(|_| format!("no response within {limit:?}"))?;
        let response = response?;

        self.open = Some(open);
        Ok(response)
    }
}

impl Clone for Connection {
    /// Creates another connection to the same target, not yet open.
    fn clone(&self) -> Self {
        Self::new(self.target.clone())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Sends a GET over a new connection, for the metadata endpoint.
pub(crate) async fn get(url: &Uri) -> Result<Bytes, BoxError> {
    let target = Target::new(url, "")?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).body(Full::default())?;
    let response = Connection::new(target).send(request, GET_TIMEOUT).await?;
    if response.status != StatusCode::OK {
        return Err(format!("{url} returned {}", response.status).into());
    }
    Ok(response.body)
}

fn client_config(ca_file: &str) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder?
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    // The connection speaks HTTP/1.1 only, so it offers nothing else.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(ca_file: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if ca_file.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    }

    let path = ca_file.to_owned();
    let pem = |source| TlsError::Pem {
        path: ca_file.to_owned(),
        source,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(ca_file)
        .map_err(pem)?
        .collect();
    let (added, _) = roots.add_parsable_certificates(certificates.map_err(pem)?);

    if added == 0 {
        Err(TlsError::NoCertificates { path })
    } else {
        Ok(roots)
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const GET_TIMEOUT: Duration = Duration::from_secs(1);
/// The limit for responses that the OTLP specification recommends.
const MAX_RESPONSE_BYTES: usize = 4 << 20;
