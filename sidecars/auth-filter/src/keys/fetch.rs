//! Fetches small documents: one GET, no redirects, with limits.

use std::time::Duration;

use bytes::Bytes;
use chassis::http::client::{
    Client, ClientConfig, ClientError, ClientLimits, PlainHttp, ProxySettings, SetupError,
    TrustStore,
};
use chassis::http::{ReadError, read_limited};
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode, Uri};
use tokio::time::timeout;

/// Fetches documents over `https`, and over `http` where allowed.
#[derive(Clone, Debug)]
pub struct Fetcher(Client);

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Plain `http` to a host outside of the task.
    #[error("`{0}` is plain http to another host; use https, or set `insecure_jwks_http`")]
    Plain(Uri),
    /// There is no complete response.
    #[error("cannot fetch `{url}`")]
    Request {
        /// The URL.
        url: String,
        /// The cause.
        source: ClientError,
    },
    /// The body of the response broke off.
    #[error("the response of `{url}` broke off")]
    Body {
        /// The URL.
        url: Uri,
        /// The cause.
        source: ReadError,
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

    /// Creates a fetcher; reads the CA certificates.
    pub fn new(
        trust: TrustStore,
        plain_http: PlainHttp,
        proxy: ProxySettings,
    ) -> Result<Self, SetupError> {
        let agent = concat!("auth-filter/", env!("CARGO_PKG_VERSION"));
        let limits = ClientLimits {
            // Documents are fetched minutes apart, so connections are not kept for the next one.
            max_idle_connections: 0,
            ..ClientLimits::default()
        };
        let client = Client::new(ClientConfig {
            trust,
            plain_http,
            proxy,
            limits,
            user_agent: Some(HeaderValue::from_static(agent)),
            ..ClientConfig::default()
        })?;
        Ok(Self(client))
    }

    /// Fetches one document.
    pub async fn get(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let result = timeout(Self::TIMEOUT, self.get_without_timeout(url)).await;
        result.unwrap_or_else(|_| Err(FetchError::Timeout(url.clone())))
    }

    async fn get_without_timeout(&self, url: &Uri) -> Result<Bytes, FetchError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.clone();
        let accept = HeaderValue::from_static("application/json, application/jwk-set+json");
        request.headers_mut().insert(ACCEPT, accept);

        let response = self.0.send(request).await;
        let response = response.map_err(|error| match error {
            ClientError::PlainHttp(_) => FetchError::Plain(url.clone()),
            source => FetchError::Request {
                url: url.to_string(),
                source,
            },
        })?;

        // Before the body is read: the page of an error may be of any size.
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status {
                url: url.clone(),
                status: response.status(),
            });
        }

        let body = read_limited(response.into_body(), Self::MAX_BYTES).await;
        body.map_err(|error| match error {
            ReadError::TooLarge { .. } => FetchError::TooLarge(url.clone()),
            source @ ReadError::Io(_) => FetchError::Body {
                url: url.clone(),
                source,
            },
        })
    }
}
