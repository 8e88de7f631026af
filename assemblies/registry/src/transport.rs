//! Sends an HTTP request over a new connection, within limits.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::Limits;
use crate::error::ErrorKind;
use crate::reference::split_port;

/// Sends requests: https to any host, http to loopback only.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    tls: Arc<ClientConfig>,
    limits: Limits,
}

/// A response, read completely.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// Returns a header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Transport {
    /// Trusts the certificate authorities of the system, or Mozilla's if there are none.
    pub(crate) fn new(limits: Limits) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // A single invalid certificate must not make all others unusable.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();

        Ok(Self {
            tls: Arc::new(tls),
            limits,
        })
    }

    /// Sends a request and reads the whole response within the timeout.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response, ErrorKind> {
        let host = host_of(request.uri());
        let timeout_error = ErrorKind::Timeout {
            host: host.clone(),
            limit: self.limits.request_timeout,
        };
        let result = timeout(
            self.limits.request_timeout,
            self.send_without_timeout(request, &host),
        )
        .await;
        result.unwrap_or(Err(timeout_error))
    }

    async fn send_without_timeout(
        &self,
        request: Request<Full<Bytes>>,
        host: &str,
    ) -> Result<Response, ErrorKind> {
        let is_plain_http = request.uri().scheme_str() == Some("http");
        let tcp = connect(host, is_plain_http).await?;
        if is_plain_http {
            return self.exchange(tcp, request, host).await;
        }

        let name = strip_brackets(split_port(host).0).to_owned();
        let connect_error = |source| ErrorKind::Connect {
            host: host.to_owned(),
            source,
        };
        let name = ServerName::try_from(name)
            .map_err(|error| connect_error(std::io::Error::other(error)))?;
        let tls = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await;

        self.exchange(tls.map_err(connect_error)?, request, host)
            .await
    }

    async fn exchange<Io>(
        &self,
        io: Io,
        request: Request<Full<Bytes>>,
        host: &str,
    ) -> Result<Response, ErrorKind>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let interrupted = |error: &dyn std::error::Error| ErrorKind::Interrupted {
            host: host.to_owned(),
            cause: root_cause(error),
        };
        let handshake = http1::handshake(TokioIo::new(io)).await;
        let (mut sender, connection) = handshake.map_err(|error| interrupted(&error))?;

        // Owns the connection's task, so that it is aborted when this function returns.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let response = sender.send_request(to_origin_form(request, host)).await;
        let (parts, body) = response.map_err(|error| interrupted(&error))?.into_parts();
        // Limited while reading, since `Content-Length` may be absent.
        let body = Limited::new(body, self.limits.max_response_bytes)
            .collect()
            .await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let limit = self.limits.max_response_bytes;
                ErrorKind::TooLarge {
                    host: host.to_owned(),
                    limit,
                }
            } else {
                interrupted(error.as_ref())
            }
        })?;

        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

/// Converts a request to origin form: the path as target, the host as a header (RFC 9112, section 3.2.1).
fn to_origin_form(mut request: Request<Full<Bytes>>, host: &str) -> Request<Full<Bytes>> {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    let headers = request.headers_mut();
    if let Ok(host) = host.parse() {
        headers.insert(HOST, host);
    }
    let agent = concat!("assemble/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, http::HeaderValue::from_static(agent));
    request
}

async fn connect(host: &str, is_plain_http: bool) -> Result<TcpStream, ErrorKind> {
    let connect_error = |source| ErrorKind::Connect {
        host: host.to_owned(),
        source,
    };
    let (name, port) = split_port(host);
    let port = port.unwrap_or(if is_plain_http { 80 } else { 443 });
    let found = lookup_host((strip_brackets(name), port))
        .await
        .map_err(connect_error)?;
    let mut addresses: Vec<SocketAddr> = found.collect();

    if is_plain_http {
        // By address, not by name: a hosts file can map `localhost` to another address.
        addresses.retain(|address| address.ip().is_loopback());
        if addresses.is_empty() {
            return Err(ErrorKind::PlainHttp(host.to_owned()));
        }
    }

    TcpStream::connect(&addresses[..])
        .await
        .map_err(connect_error)
}

fn host_of(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    // Without user information, which must not appear in messages.
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

fn strip_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Returns the innermost cause, which is the most specific.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
