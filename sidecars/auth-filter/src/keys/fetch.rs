//! A small HTTP client for small documents: one GET, no redirects, everything limited.

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

/// Gets documents over `https`, and over `http` as far as that is allowed.
#[derive(Clone, Debug)]
pub struct Fetcher {
    tls: Arc<ClientConfig>,
    plain: PlainHttp,
}

/// Where keys may be fetched without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only from this task itself, where nobody stands in between.
    Loopback,
    /// From anywhere: whoever stands in between decides which tokens are good.
    Anywhere,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The public authorities Mozilla trusts.
    Public,
    /// The authorities in this PEM file and no others.
    File(PathBuf),
}

/// Why the authorities could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file is not readable or not PEM.
    #[error("cannot read certificates from `{}`: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: rustls::pki_types::pem::Error,
    },
    /// A certificate cannot be an authority, or there is none.
    #[error("`{}` has no certificate that can be an authority", .0.display())]
    NoAuthority(PathBuf),
    /// The TLS library refused the settings.
    #[error("cannot set TLS up")]
    Tls(#[from] rustls::Error),
}

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is neither `https://` nor `http://` with a host.
    #[error("`{0}` is not an http or https address")]
    Address(Uri),
    /// Plain `http` leads out of the task.
    #[error("`{0}` is plain http to another machine; use https, or set `insecure_jwks_http`")]
    Plain(Uri),
    /// The name of the host does not resolve.
    #[error("`{host}` does not resolve")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said, if it said anything.
        source: Option<io::Error>,
    },
    /// No connection, or not with TLS.
    #[error("cannot connect to `{url}`")]
    Connect {
        /// The address.
        url: Uri,
        /// What went wrong.
        source: io::Error,
    },
    /// The exchange exchange_error off.
    #[error("`{url}` exchange_error off")]
    Exchange {
        /// The address.
        url: Uri,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The response is not 200; redirects are not followed.
    #[error("`{url}` answered {status}")]
    Status {
        /// The address.
        url: Uri,
        /// The response.
        status: StatusCode,
    },
    /// The document is too big.
    #[error("`{0}` is longer than {limit} bytes", limit = Fetcher::MAX_BYTES)]
    TooLarge(Uri),
    /// It took too long.
    #[error("`{0}` did not response within {limit} s", limit = Fetcher::TIMEOUT.as_secs())]
    Timeout(Uri),
}

impl Fetcher {
    /// The longest document taken.
    pub const MAX_BYTES: usize = 256 * 1024;
    /// How long one document may take, from the name of the host to the last byte.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A fetcher that believes `roots`.
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

    /// Gets one document.
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
            // Judged by address, not by name: `localhost` is whatever a hosts file says.
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

    // Owns the connection's task: it ends with this function, however that ends.
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

/// An IPv6 host stands in brackets in an address and without them everywhere else.
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
