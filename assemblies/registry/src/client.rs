//! The client and its limits.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;

use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind};
use crate::proxy::ProxySettings;
use crate::transport::Transport;

/// A client for registries.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) credentials: Credentials,
    pub(crate) limits: Limits,
}

/// The limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The timeout of a request, from name resolution to the last byte.
    pub request_timeout: Duration,
    /// The timeout of a pause in which an upload makes no progress, the wait for the response included.
    pub stall_timeout: Duration,
    /// The maximum size of a response, in bytes; the OCI specification recommends that registries limit
    /// manifests to 4 MiB.
    pub max_response_bytes: usize,
    /// The maximum number of retries when a registry is busy or failing, or a connection fails.
    pub max_retries: u32,
    /// The maximum wait before a retry; a longer `Retry-After` ends the retries.
    pub max_retry_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_mins(1),
            max_response_bytes: 4 * 1024 * 1024,
            max_retries: 3,
            max_retry_wait: Duration::from_secs(20),
        }
    }
}

impl Client {
    /// Creates a client with these credentials, without a proxy.
    pub fn new(credentials: Credentials, limits: Limits) -> Result<Self, rustls::Error> {
        Self::with_proxy(credentials, limits, &ProxySettings::none())
    }

    /// Creates a client that reaches remote registries through a proxy.
    pub fn with_proxy(
        credentials: Credentials,
        limits: Limits,
        proxy: &ProxySettings,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            transport: Transport::new(limits, proxy)?,
            credentials,
            limits,
        })
    }

    /// Sends a request to an API beside a registry, such as that of Amazon ECR, once and within the limits.
    pub async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ErrorKind> {
        let response = self.transport.send(request.map(Full::new)).await?;
        let mut answer = http::Response::new(response.body);
        *answer.status_mut() = response.status;
        *answer.headers_mut() = response.headers;
        Ok(answer)
    }

    /// Returns the client with a login for a registry, which has precedence over its other credentials.
    pub fn with_login(mut self, registry: &str, login: crate::Login) -> Self {
        self.credentials = self.credentials.with_login(registry, login);
        self
    }
}

impl ErrorKind {
    /// Adds the reference of the image.
    pub(crate) fn for_image(self, image: &str) -> Error {
        Error {
            image: image.to_owned(),
            kind: self,
        }
    }
}
