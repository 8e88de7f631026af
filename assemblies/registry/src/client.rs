//! The client and its limits.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;

use crate::credentials::{Credentials, LoginSource};
use crate::error::{Error, ErrorKind};
use crate::proxy::{InvalidProxy, ProxySettings};
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

/// An error of creating a client from the environment.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Docker's `config.json` cannot be read.
    #[error("cannot read `{}`: {source}; correct it, or log in again", file.display())]
    Credentials {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The proxy is invalid.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
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

    /// Creates a client with docker's logins and the proxy of the environment; `logins` has precedence over docker's.
    pub fn from_environment(logins: Option<Arc<dyn LoginSource>>) -> Result<Self, SetupError> {
        let mut credentials = Credentials::default();
        // Without a home directory there are no logins of docker.
        if let Some(file) = Credentials::user_file() {
            let read = Credentials::read(&file);
            credentials = read.map_err(|source| SetupError::Credentials { file, source })?;
        }
        if let Some(logins) = logins {
            credentials = credentials.with_source(logins);
        }

        let proxy = ProxySettings::from_variables(|name| env::var(name).ok())?;
        Ok(Self::with_proxy(credentials, Limits::default(), &proxy)?)
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
