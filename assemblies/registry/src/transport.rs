//! Sends an HTTP request and reads the response, within limits.
//!
//! A request with a small body has a timeout as a whole. An upload has one for each pause without progress, so that a
//! large blob can take as long as a slow line needs.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::client::Limits;
use crate::error::ErrorKind;
use crate::proxy::{ProxyConnector, ProxySettings};

/// The body of a request: bytes, or a file.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Sends requests: https to any host, http to loopback only.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    https: Client<HttpsConnector<ProxyConnector>, Body>,
    http: Client<HttpConnector<LoopbackResolver>, Body>,
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
    pub(crate) fn new(limits: Limits, proxy: &ProxySettings) -> Result<Self, rustls::Error> {
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

        let connector = ProxyConnector::new(proxy.clone(), tls.clone());
        let mut https = HttpsConnector::from((connector, tls));
        https.enforce_https();
        let builder = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .to_owned();

        Ok(Self {
            https: builder.build(https),
            // Never through a proxy, which has another loopback.
            http: builder.build(HttpConnector::new_with_resolver(LoopbackResolver)),
            limits,
        })
    }

    /// Sends a request and reads the whole response within the timeout.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response, ErrorKind> {
        let timeout_error = ErrorKind::Timeout {
            host: host_of(request.uri()),
            limit: self.limits.request_timeout,
        };
        let request = request.map(|body| Body::new(body.map_err(|never| match never {})));
        let result = timeout(self.limits.request_timeout, self.exchange(request)).await;
        result.unwrap_or(Err(timeout_error))
    }

    /// Sends a request with a large body and reads the response; `sent` returns the number of bytes that were sent so
    /// far. Fails when it stays the same for the limit, at the latest after twice the limit.
    pub(crate) async fn upload(
        &self,
        request: Request<Body>,
        sent: impl Fn() -> u64,
    ) -> Result<Response, ErrorKind> {
        let limit = self.limits.stall_timeout;
        let host = host_of(request.uri());
        let stalled = async {
            let mut before = sent();
            loop {
                sleep(limit).await;
                let now = sent();
                if now == before {
                    return;
                }
                before = now;
            }
        };

        tokio::select! {
            response = self.exchange(request) => response,
            () = stalled => Err(ErrorKind::Stalled { host, limit }),
        }
    }

    /// Sends a request and returns the response within the timeout; its body is still to be read.
    pub(crate) async fn open(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, ErrorKind> {
        let host = host_of(request.uri());
        let limit = self.limits.request_timeout;
        let request = request.map(|body| Body::new(body.map_err(|never| match never {})));
        let result = timeout(limit, self.request(request, &host)).await;
        result.unwrap_or(Err(ErrorKind::Timeout { host, limit }))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response, ErrorKind> {
        let host = host_of(request.uri());
        let (parts, body) = self.request(request, &host).await?.into_parts();
        self.read(parts, body, &host).await
    }

    async fn request(
        &self,
        mut request: Request<Body>,
        host: &str,
    ) -> Result<http::Response<Incoming>, ErrorKind> {
        let agent = concat!("assemble/", env!("CARGO_PKG_VERSION"));
        let agent = HeaderValue::from_static(agent);
        request.headers_mut().insert(USER_AGENT, agent);

        let response = if request.uri().scheme_str() == Some("http") {
            // The resolver gets names only.
            if is_remote_address(request.uri()) {
                return Err(ErrorKind::PlainHttp(host.to_owned()));
            }
            self.http.request(request).await
        } else {
            self.https.request(request).await
        };

        response.map_err(|error| match root_cause(&error) {
            cause if cause.is::<NotLoopback>() => ErrorKind::PlainHttp(host.to_owned()),
            cause if error.is_connect() => connect_error(host, cause),
            _ => interruption(host, &error),
        })
    }

    /// Reads a body within the size limit.
    async fn read(
        &self,
        parts: http::response::Parts,
        body: Incoming,
        host: &str,
    ) -> Result<Response, ErrorKind> {
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
                interruption(host, &*error)
            }
        })?;

        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Resolves names to loopback addresses only.
#[derive(Clone, Copy, Debug)]
struct LoopbackResolver;

/// The name of a plain http URL is that of another host.
#[derive(Debug, thiserror::Error)]
#[error("not a loopback address")]
struct NotLoopback;

impl Service<Name> for LoopbackResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            // The connector replaces the port.
            let mut addresses: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            // By address, not by name: a hosts file can map `localhost` to another address.
            addresses.retain(|address| address.ip().is_loopback());
            if addresses.is_empty() {
                return Err(NotLoopback.into());
            }
            Ok(addresses.into_iter())
        })
    }
}

fn is_remote_address(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let address: Result<IpAddr, _> = host.parse();
    address.is_ok_and(|address| !address.is_loopback())
}

fn host_of(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    // Without user information, which must not appear in messages.
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}

/// Creates the error of a connection that was not established.
fn connect_error(host: &str, cause: &(dyn Error + 'static)) -> ErrorKind {
    let (host, text) = (host.to_owned(), cause.to_string());
    // The source of an I/O error is not the error in it, but the source of that.
    let mut inner = cause;
    while let Some(next) = inner.downcast_ref().and_then(io::Error::get_ref) {
        inner = next;
    }
    if inner.is::<rustls::Error>() {
        return ErrorKind::Tls { host, cause: text };
    }
    // The error of getaddrinfo has no kind of its own; the text is that of the standard library.
    if text.starts_with("failed to lookup address information") {
        return ErrorKind::UnknownHost { host, cause: text };
    }

    ErrorKind::Connect {
        host,
        source: io::Error::other(text),
    }
}

/// Creates the error of a connection that closed during the exchange.
pub(crate) fn interruption(host: &str, error: &(dyn Error + 'static)) -> ErrorKind {
    ErrorKind::Interrupted {
        host: host.to_owned(),
        cause: root_cause(error).to_string(),
    }
}

/// Returns the innermost cause, which is the most specific.
pub(crate) fn root_cause<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn sends_plain_http_to_loopback_addresses_only() {
        let limits = Limits {
            request_timeout: Duration::from_secs(10),
            ..Limits::default()
        };
        let transport = Transport::new(limits, &ProxySettings::none()).unwrap();
        // Documentation address of RFC 5737: if it were not refused, connecting would time out.
        let request = Request::get("http://192.0.2.1/v2/").body(Full::default());
        let error = transport.send(request.unwrap()).await.unwrap_err();
        assert!(matches!(error, ErrorKind::PlainHttp(_)), "{error}");
    }

    #[test]
    fn distinguishes_the_causes_of_a_failed_connection() {
        let invalid = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let tls = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, invalid));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(matches!(connect_error("r", &tls), ErrorKind::Tls { .. }));
        assert!(matches!(
            connect_error("r", &refused),
            ErrorKind::Connect { .. }
        ));
    }

    #[tokio::test]
    async fn resolves_names_to_loopback_addresses_only() {
        let resolve = |name: &str| LoopbackResolver.call(name.parse().unwrap());
        let mut allowed = resolve("localhost").await.unwrap();
        assert!(allowed.all(|address| address.ip().is_loopback()));
        let error = resolve("192.0.2.1").await.unwrap_err();
        assert!(error.is::<NotLoopback>(), "{error}");
    }
}
