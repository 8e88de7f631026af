//! The proxy of a connection, from the variables that most programs use.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::transport::root_cause;

/// The proxy from `HTTPS_PROXY`, and the exceptions from `NO_PROXY`; also in lower case.
///
/// A proxy is a URL with the scheme `http` or `https`, with a user and password if needed. `NO_PROXY` is a list of
/// domains (with their subdomains), addresses and networks, or `*`. Registries on the local host are always reached
/// directly.
#[derive(Clone, Default)]
pub struct ProxySettings {
    matcher: Option<Arc<Matcher>>,
}

/// `HTTPS_PROXY` is not the URL of a proxy. The value may contain a password, so it is left out.
#[derive(Debug, thiserror::Error)]
#[error("`HTTPS_PROXY` is not the URL of a proxy; set it to one like http://proxy.example:3128")]
pub struct InvalidProxy;

impl ProxySettings {
    /// Returns settings without a proxy.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the variables; `variable` returns the value of one.
    ///
    /// An invalid value is an error: connecting directly instead could evade the egress rules that the proxy is
    /// there for.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let value = |name: &str| {
            let value = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
            value.unwrap_or_default()
        };
        let proxy = value("HTTPS_PROXY");

        if proxy.is_empty() {
            return Ok(Self::none());
        }
        // The matcher ignores what it does not support.
        let url: Uri = proxy.parse().map_err(|_| InvalidProxy)?;
        // Without a scheme it is `http`, as for curl.
        if url.authority().is_none() || !matches!(url.scheme_str(), None | Some("http" | "https")) {
            return Err(InvalidProxy);
        }

        let matcher = Matcher::builder().https(proxy).no(value("NO_PROXY"));
        Ok(Self {
            matcher: Some(Arc::new(matcher.build())),
        })
    }

    fn intercept(&self, url: &Uri) -> Option<Intercept> {
        self.matcher.as_ref()?.intercept(url)
    }
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Matcher` prints no password.
        f.debug_tuple("ProxySettings").field(&self.matcher).finish()
    }
}

/// Opens TCP connections: directly, or through the tunnel of a proxy (RFC 9110, section 9.3.6).
#[derive(Clone, Debug)]
pub(crate) struct ProxyConnector {
    settings: ProxySettings,
    direct: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
}

impl ProxyConnector {
    /// Creates a connector; `tls` is for proxies with an `https` URL.
    pub(crate) fn new(settings: ProxySettings, tls: ClientConfig) -> Self {
        let mut direct = HttpConnector::new();
        // The outer connector handles `https`, and passes those URLs on.
        direct.enforce_http(false);
        Self {
            settings,
            to_proxy: HttpsConnector::from((direct.clone(), tls)),
            direct,
        }
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl Service<Uri> for ProxyConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Both connectors are always ready: they keep no state between connections.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let Some(proxy) = self.settings.intercept(&url) else {
            let connection = self.direct.call(url);
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(connection.await?)) });
        };

        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let connection = tunnel.call(url);
        let name = proxy.uri().authority().map(|authority| {
            // Without the user and password.
            let authority = authority.as_str();
            authority.rsplit('@').next().unwrap_or_default().to_owned()
        });

        Box::pin(async move {
            connection.await.map_err(|error| {
                let name = name.unwrap_or_default();
                let cause = root_cause(&error);
                format!("the proxy `{name}` did not open a tunnel: {cause}").into()
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(proxy: &str, exceptions: &str) -> Result<ProxySettings, InvalidProxy> {
        ProxySettings::from_variables(|name| match name {
            "https_proxy" => Some(proxy.to_owned()),
            "NO_PROXY" => Some(exceptions.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn applies_the_exceptions() {
        let settings = settings("http://proxy.example:3128", "internal.example,10.0.0.0/8");
        let settings = settings.unwrap();
        for (url, is_proxied) in [
            ("https://registry.example/v2/", true),
            ("https://internal.example/v2/", false),
            ("https://a.internal.example/v2/", false),
            ("https://10.1.2.3/v2/", false),
        ] {
            let url = Uri::from_static(url);
            assert_eq!(settings.intercept(&url).is_some(), is_proxied, "{url}");
        }
    }

    #[test]
    fn rejects_an_invalid_proxy_without_its_password() {
        for value in ["socks5://u:secret@proxy:1080", "not a url", "http://"] {
            let error = settings(value, "").unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("HTTPS_PROXY"));
        }
        assert!(settings("", "").is_ok());
    }
}
