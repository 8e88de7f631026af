//! One HTTP request over one connection, everything limited.

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
use crate::error::Problem;
use crate::reference::split_port;

/// Speaks https to anybody, and http to this machine.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    tls: Arc<ClientConfig>,
    limits: Limits,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Transport {
    /// Believes the authorities of this system; Mozilla's where it has none.
    pub(crate) fn new(limits: Limits) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // One unreadable certificate among a hundred is no reason to believe nobody.
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

    /// Sends a request and reads the whole answer, from the name of the host to the last byte in time.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
        let host = host_of(request.uri());
        let slow = Problem::Slow {
            host: host.clone(),
            limit: self.limits.time,
        };
        let sent = timeout(self.limits.time, self.unlimited(request, &host)).await;
        sent.unwrap_or(Err(slow))
    }

    async fn unlimited(
        &self,
        request: Request<Full<Bytes>>,
        host: &str,
    ) -> Result<Answer, Problem> {
        let is_plain = request.uri().scheme_str() == Some("http");
        let tcp = connect(host, is_plain).await?;
        if is_plain {
            return self.exchange(tcp, request, host).await;
        }

        let name = unbracketed(split_port(host).0).to_owned();
        let failed = |source| Problem::Connect {
            host: host.to_owned(),
            source,
        };
        let name =
            ServerName::try_from(name).map_err(|error| failed(std::io::Error::other(error)))?;
        let tls = TlsConnector::from(self.tls.clone())
            .connect(name, tcp)
            .await;

        self.exchange(tls.map_err(failed)?, request, host).await
    }

    async fn exchange<Io>(
        &self,
        io: Io,
        request: Request<Full<Bytes>>,
        host: &str,
    ) -> Result<Answer, Problem>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let broken = |error: &dyn std::error::Error| Problem::Broken {
            host: host.to_owned(),
            cause: deepest(error),
        };
        let handshake = http1::handshake(TokioIo::new(io)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;

        // Owns the connection's task: it ends with this function, however that ends.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let answer = sender.send_request(relative(request, host)).await;
        let (parts, body) = answer.map_err(|error| broken(&error))?.into_parts();
        let body = Limited::new(body, self.limits.bytes).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let limit = self.limits.bytes;
                Problem::TooBig {
                    host: host.to_owned(),
                    limit,
                }
            } else {
                broken(error.as_ref())
            }
        })?;

        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

/// The request as it goes over the wire: the path, and the host in its header.
fn relative(mut request: Request<Full<Bytes>>, host: &str) -> Request<Full<Bytes>> {
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

async fn connect(host: &str, is_plain: bool) -> Result<TcpStream, Problem> {
    let failed = |source| Problem::Connect {
        host: host.to_owned(),
        source,
    };
    let (name, port) = split_port(host);
    let port = port.unwrap_or(if is_plain { 80 } else { 443 });
    let found = lookup_host((unbracketed(name), port))
        .await
        .map_err(failed)?;
    let mut addresses: Vec<SocketAddr> = found.collect();

    if is_plain {
        // Judged by address, not by name: `localhost` is whatever a hosts file says.
        addresses.retain(|address| address.ip().is_loopback());
        if addresses.is_empty() {
            return Err(Problem::Plain(host.to_owned()));
        }
    }

    TcpStream::connect(&addresses[..]).await.map_err(failed)
}

fn host_of(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    // A name and a password in an address are nobody's business.
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The last of the reasons says what happened.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
