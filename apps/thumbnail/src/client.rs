//! The client for web servers and S3, and its errors as those of a source.

use std::time::Duration;

use bytes::Bytes;
use chassis::http::Body;
use chassis::http::client::{
    Client, ClientConfig, ClientError, ProxySettings, SetupError, TrustStore,
};
use http::{HeaderValue, Request, Response};
use tokio::time::timeout;

use crate::{Error, ErrorKind};

/// Creates a client that trusts the public certificate authorities and those in a PEM file, if any.
pub(crate) fn new_client(ca_file: &str, proxy: ProxySettings) -> Result<Client, Error> {
    let trust = if ca_file.is_empty() {
        TrustStore::PublicRoots
    } else {
        TrustStore::PublicRootsAndCaFile(ca_file.into())
    };
    let config = ClientConfig {
        trust,
        proxy,
        user_agent: Some(HeaderValue::from_static(USER_AGENT)),
        ..ClientConfig::default()
    };

    Client::new(config).map_err(|error| {
        let message = match error {
            SetupError::Proxy(_) => "cannot use the proxy",
            _ => "cannot use the certificates of `ca_file`",
        };
        Error::new(ErrorKind::Usage, message).with_source(error)
    })
}

/// Sends a request with an absolute URL, and returns the response with an unread body.
pub(crate) async fn send(
    client: &Client,
    request: Request<Bytes>,
    limit: Duration,
) -> Result<Response<Body>, Error> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    match timeout(limit, client.send(request)).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(timeout_error(&host)),
    }
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let message = match &error {
            ClientError::Timeout { host, .. } => return timeout_error(host),
            // Their messages are complete, so they are no causes.
            ClientError::InvalidUrl(_) => return Self::new(ErrorKind::Usage, error.to_string()),
            ClientError::RefusedAddress(_)
            | ClientError::RefusedProxy(_)
            | ClientError::PlainHttp(_) => {
                return Self::new(ErrorKind::SourceDenied, error.to_string());
            }
            ClientError::Resolve { host, .. }
            | ClientError::Connect { host, .. }
            | ClientError::Exchange { host, .. }
            | ClientError::TooLarge { host, .. } => format!("cannot connect to `{host}`"),
        };
        Self::new(ErrorKind::SourceNetwork, message).with_source(error)
    }
}

fn timeout_error(host: &str) -> Error {
    let message = format!("`{host}` did not respond in time");
    Error::new(ErrorKind::SourceNetwork, message)
}

const USER_AGENT: &str = concat!("thumbnail/", env!("CARGO_PKG_VERSION"));
