//! The errors of the client.

use std::{io, path::PathBuf, time::Duration};

use rustls::pki_types::pem;

use super::Origin;
use crate::BoxError;

/// The error of creating a client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file of certificate authorities cannot be read, or is not PEM.
    #[error("cannot read certificates from `{}`", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// The file of certificate authorities has no usable certificate.
    #[error("`{}` contains no usable certificate", .0.display())]
    NoCertificates(PathBuf),
    /// The TLS library rejected the configuration.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
    /// A variable does not contain the URL of a proxy; the value may contain a password, so it is left out.
    #[error("`{0}` is not the URL of a proxy; set it to one like http://proxy.example:3128")]
    Proxy(&'static str),
}

/// The error of a request without a complete response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not absolute, or its scheme or host is not supported.
    #[error("`{0}` is not an http or https URL")]
    InvalidUrl(String),
    /// Plain `http` to another host, which [`PlainHttp`](super::PlainHttp) refuses.
    #[error("`{0}` is another host, and the URL is plain http")]
    PlainHttp(String),
    /// The [`AddressPolicy`](super::AddressPolicy) refuses the server's address.
    #[error("`{0}` is not a public address")]
    RefusedAddress(String),
    /// The [`AddressPolicy`](super::AddressPolicy) refuses to let a proxy resolve the server's name.
    #[error("`{0}` would be reached through a proxy, which does not refuse private addresses")]
    RefusedProxy(String),
    /// The name does not resolve.
    #[error("`{host}` does not resolve")]
    Resolve {
        /// The host.
        host: String,
        /// The resolver's error; `None` if it returned no address.
        source: Option<io::Error>,
    },
    /// There is no connection, or not with TLS, or not through the proxy.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The host.
        host: String,
        /// The cause.
        source: BoxError,
    },
    /// The connection failed during the exchange.
    #[error("the exchange with `{host}` failed")]
    Exchange {
        /// The host.
        host: String,
        /// The cause.
        source: BoxError,
    },
    /// The response did not arrive in time.
    #[error("`{host}` did not respond within {limit:?}")]
    Timeout {
        /// The host.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// The response is too large.
    #[error("`{host}` sent more than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit in bytes.
        limit: usize,
    },
}

impl ClientError {
    pub(super) fn connect(origin: &Origin, source: impl Into<BoxError>) -> Self {
        Self::Connect {
            host: origin.host_header(),
            source: source.into(),
        }
    }

    pub(super) fn exchange(origin: &Origin, source: impl Into<BoxError>) -> Self {
        Self::Exchange {
            host: origin.host_header(),
            source: source.into(),
        }
    }
}
