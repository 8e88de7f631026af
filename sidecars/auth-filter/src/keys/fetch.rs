//! A minimal HTTP client for small documents: one GET, no redirects, with limits.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Fetches documents over `https`, and over `http` where allowed.
#[derive(Clone, Debug)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    plain: PlainHttp,
}

/// From where keys may be loaded without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only from this task: its loopback is not reachable from outside.
    Loopback,
    /// From anywhere; the network can then replace the keys.
    Anywhere,
}

/// The trusted CA certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The public CAs trusted by Mozilla.
    Public,
    /// Only the CAs in this PEM file.
    File(PathBuf),
}

/// Why the CA certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file is not readable or not PEM.
    #[error("cannot read certificates from `{}`: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: rustls::pki_types::pem::Error,
    },
    /// A certificate is no CA, or there is none.
    #[error("`{}` has no usable CA certificate", .0.display())]
    NoAuthority(PathBuf),
    /// The TLS library rejected the configuration.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
}

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is neither `https://` nor `http://` with a host.
    #[error("`{0}` is not an http or https URL")]
    Address(Uri),
    /// Plain `http` to a host outside of the task.
    #[error("`{0}` is plain http to another host; use https, or set `insecure_jwks_http`")]
    Plain(Uri),
    /// The name of the host does not resolve.
    #[error("`{host}` does not resolve")]
    Resolve {
        /// The name.
        host: String,
        /// The resolver's error; `None` if it returned no address.
        source: Option<io::Error>,
    },
    /// No connection, or not with TLS.
    #[error("cannot connect to `{url}`")]
    Connect {
        /// The URL.
        url: Uri,
        /// The cause.
        source: io::Error,
    },
    /// The exchange failed.
    #[error("the exchange with `{url}` failed")]
    Exchange {
        /// The URL.
        url: Uri,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The status is not 200; redirects are not followed.
    #[error("`{url}` responded with {status}")]
    Status {
        /// The URL.
        url: Uri,
        /// The status.
        status: StatusCode,
    },
    /// The document is too large.
    #[error("`{0}` is longer than {limit} bytes", limit = Fetcher::MAX_BYTES)]
    TooLarge(Uri),
    /// It took longer than [`Fetcher::TIMEOUT`].
    #[error("`{0}` did not respond within {limit} s", limit = Fetcher::TIMEOUT.as_secs())]
    Timeout(Uri),
}

impl Fetcher {
    /// Maximum size of a document in bytes.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// Timeout for one document, from name resolution to the last byte.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// Creates a fetcher that trusts `roots`.
    pub fn new(roots: &Roots, plain: PlainHttp) -> Result<Self, RootsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(root_store(roots)?)
            .with_no_client_auth();
        Ok(Self {
            tls: Arc::new(config),
            plain,
        })
    }

    /// Fetches one document.
    pub async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let result = timeout(Self::TIMEOUT, self.get_without_timeout(url)).await;
        result.unwrap_or_else(|_| Err(FetchError::Timeout(url.clone())))
    }

    async fn get_without_timeout(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let (scheme, host) = match (url.scheme_str(), url.host()) {
            (Some(scheme @ ("http" | "https")), Some(host)) if !host.is_empty() => (scheme, host),
            _ => return Err(FetchError::Address(url.clone())),
        };

        let connect = |source| FetchError::Connect {
            url: url.clone(),
            source,
        };
        let tcp = self.connect(url, scheme, host).await?;

        if scheme == "http" {
            return exchange(tcp, url).await;
        }

        // The certificate must be for the host of the URL, without the brackets of IPv6.
        let name = ServerName::try_from(strip_brackets(host).to_owned())
            .map_err(|_| FetchError::Address(url.clone()))?;
        let tls = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await
            .map_err(connect)?;

        exchange(tls, url).await
    }

    async fn connect(&self, url: &Uri, scheme: &str, host: &str) -> Result<TcpStream, FetchError> {
        let host = strip_brackets(host);
        let port = url
            .port_u16()
            .unwrap_or(if scheme == "https" { 443 } else { 80 });
        let unresolved = |source| FetchError::Resolve {
            host: host.to_owned(),
            source,
        };
        let resolved = lookup_host((host, port))
            .await
            .map_err(|error| unresolved(Some(error)))?;
        let mut addresses: Vec<SocketAddr> = resolved.collect();

        if addresses.is_empty() {
            return Err(unresolved(None));
        }
        if scheme == "http" && self.plain == PlainHttp::Loopback {
            // By address rather than name: `localhost` is whatever a hosts file maps it to.
            addresses.retain(|address| address.ip().is_loopback());
            if addresses.is_empty() {
                return Err(FetchError::Plain(url.clone()));
            }
        }

        let stream = TcpStream::connect(&addresses[..]).await;
        stream.map_err(|source| FetchError::Connect {
            url: url.clone(),
            source,
        })
    }
}

async fn exchange<Io>(io: Io, url: &Uri) -> Result<Bytes, FetchError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let exchange_error = |source: Box<dyn std::error::Error + Send + Sync>| FetchError::Exchange {
        url: url.clone(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(io))
        .await
        .map_err(|error| exchange_error(error.into()))?;

    // Owns the connection's task, which is aborted when this function returns.
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let request = request(url).map_err(|error| exchange_error(error.into()))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| exchange_error(error.into()))?;

    if response.status() != StatusCode::OK {
        return Err(FetchError::Status {
            url: url.clone(),
            status: response.status(),
        });
    }

    // Limited while reading, because `Content-Length` may be absent or wrong.
    let body = Limited::new(response.into_body(), Fetcher::MAX_BYTES)
        .collect()
        .await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                FetchError::TooLarge(url.clone())
            } else {
                exchange_error(error)
            }
        })
}

fn request(url: &Uri) -> Result<Request<Empty<Bytes>>, http::Error> {
    let path = url
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let authority = url.authority().map_or("", http::uri::Authority::as_str);

    Request::get(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/json, application/jwk-set+json")
        .header(
            USER_AGENT,
            concat!("auth-filter/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::new())
}

/// Removes the brackets that an IPv6 host has in a URL.
fn strip_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn root_store(roots: &Roots) -> Result<RootCertStore, RootsError> {
    match roots {
        Roots::Public => Ok(RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
        Roots::File(path) => from_file(path),
    }
}

fn from_file(path: &Path) -> Result<RootCertStore, RootsError> {
    let unreadable = |cause| RootsError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let mut store = RootCertStore::empty();

    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        store
            .add(certificate)
            .map_err(|_| RootsError::NoAuthority(path.to_owned()))?;
    }

    if store.is_empty() {
        Err(RootsError::NoAuthority(path.to_owned()))
    } else {
        Ok(store)
    }
}
