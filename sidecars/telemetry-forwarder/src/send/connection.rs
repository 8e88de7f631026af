//! One HTTP/1.1 connection to one host, idle open between requests, with TLS where the URL says so.

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

/// Why TLS cannot be set up for the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificate authorities cannot be read.
    #[error("`{path}` cannot be read as PEM")]
    Pem {
        /// The file.
        path: String,
        /// Why not.
        source: PemError,
    },
    /// The file of certificate authorities holds none that can be used.
    #[error("`{path}` holds no usable certificate")]
    NoCertificates {
        /// The file.
        path: String,
    },
    /// The crypto provider does not support the protocol versions asked for.
    #[error("TLS cannot be configured")]
    Configuration(#[from] rustls::Error),
    /// The host's name cannot stand in a certificate.
    #[error("the host of the endpoint is not a name or an address")]
    Name(#[from] InvalidDnsNameError),
}

/// Where to connect to.
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

/// A connection that is opened when it is needed, and again when it is lost.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    sender: SendRequest<Full<Bytes>>,
    /// The task that moves the bytes; it ends with this.
    _driver: JoinSet<()>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct FullResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Target {
    /// The host of a URL; `ca_file` is read only when it is https, and empty means the built-in
    /// roots.
    pub(crate) fn new(url: &Uri, ca_file: &str) -> Result<Self, TlsError> {
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        let host = url
            .host()
            .unwrap_or_default()
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
        // Requests are written in one go; waiting for the last segment's ack would only delay them.
        stream.set_nodelay(true)?;
        match &self.tls {
            None => open(stream).await,
            Some(tls) => {
                let shaking = tls.connector.connect(tls.name.clone(), stream);
                open(timeout(CONNECT_TIMEOUT, shaking).await??).await
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

    /// Sends a request and reads the whole response; anything but an response closes the connection.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
        limit: Duration,
    ) -> Result<FullResponse, BoxError> {
        request
            .headers_mut()
            .insert(HOST, self.target.host_header.clone());

        let mut open = self.open.take();
        // The server may have closed an idle connection: what it has not read goes out on a new
        // one.
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
            .map_err(|_| format!("no response in {limit:?}"))?;
        let response = response?;

        self.open = Some(open);
        Ok(response)
    }
}

impl Clone for Connection {
    /// Another connection to the same place, not yet open.
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

/// One GET over a connection of its own, for the metadata endpoint.
pub(crate) async fn get(url: &Uri) -> Result<Bytes, BoxError> {
    let target = Target::new(url, "")?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).body(Full::default())?;
    let response = Connection::new(target).send(request, GET_TIMEOUT).await?;
    if response.status != StatusCode::OK {
        return Err(format!("{url} answers {}", response.status).into());
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
/// What the specification advises for answers.
const MAX_RESPONSE_BYTES: usize = 4 << 20;
