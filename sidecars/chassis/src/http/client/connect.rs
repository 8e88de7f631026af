//! Opens a connection: directly, or through a proxy.

use std::{error::Error, future::poll_fn, io, sync::Arc};

use http::Uri;
use hyper::{
    client::conn::http1::{self, SendRequest},
    rt::{Read, Write},
};
use hyper_rustls::HttpsConnector;
use hyper_util::client::{
    legacy::connect::{HttpConnector, proxy::Tunnel},
    proxy::matcher::Intercept,
};
use tower_service::Service;

use super::{
    super::Body,
    ClientConfig, ClientError, Origin,
    address::{AddressRule, ResolveError, Resolver},
    proxy::Route,
};
use crate::BoxError;

/// Opens the connections of a client.
pub(super) struct Connector<'c> {
    pub(super) config: &'c ClientConfig,
    pub(super) tls: &'c Arc<rustls::ClientConfig>,
}

impl Connector<'_> {
    /// Connects to a server on a route that the configuration allows.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        route: &Route,
    ) -> Result<SendRequest<Body>, ClientError> {
        let ClientConfig {
            addresses,
            plain_http,
            ..
        } = *self.config;

        match route {
            Route::Direct => {
                let rule = AddressRule::new(addresses, plain_http, origin.is_plain());
                let connector = self.https(self.tcp(rule));
                self.open(connector, origin.url(), origin, Some(rule)).await
            }
            Route::Forward(proxy) => {
                let connector = self.to_proxy();
                let url = proxy.uri().clone();
                self.open(connector, url, origin, None).await
            }
            Route::Tunnel(proxy) => {
                let connector = self.https(tunnel(proxy, self.to_proxy()));
                let url = origin.url();
                self.open(connector, url, origin, None).await
            }
        }
    }

    fn tcp(&self, rule: AddressRule) -> HttpConnector<Resolver> {
        let mut connector = HttpConnector::new_with_resolver(Resolver(rule));
        // The outer connector handles `https`, and passes those URLs on.
        connector.enforce_http(false);
        // Requests are written at once; Nagle's algorithm would only delay their last segment.
        connector.set_nodelay(true);
        // Divided among the addresses of a name, so that one that never answers leaves time for others.
        connector.set_connect_timeout(Some(self.config.limits.connect_timeout));
        connector
    }

    fn https<C>(&self, connector: C) -> HttpsConnector<C> {
        HttpsConnector::from((connector, Arc::clone(self.tls)))
    }

    /// Returns a connector to a proxy, whose URL the operator chooses.
    fn to_proxy(&self) -> HttpsConnector<HttpConnector<Resolver>> {
        self.https(self.tcp(AddressRule::Any))
    }

    async fn open<C>(
        &self,
        mut connector: C,
        url: Uri,
        origin: &Origin,
        rule: Option<AddressRule>,
    ) -> Result<SendRequest<Body>, ClientError>
    where
        C: Service<Uri>,
        C::Response: Read + Write + Unpin + Send + 'static,
        C::Error: Into<BoxError>,
    {
        let failed = |error: C::Error| connect_error(origin, rule, error.into());
        poll_fn(|cx| connector.poll_ready(cx))
            .await
            .map_err(failed)?;
        let stream = connector.call(url).await.map_err(failed)?;
        // Boxed, so that a program has the code of a connection once, not for each route.
        let stream: Box<dyn Stream> = Box::new(stream);

        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| ClientError::connect(origin, error))?;
        // Ends when the sender and the response body are dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
        Ok(sender)
    }
}

/// A connection of any route.
trait Stream: Read + Write + Unpin + Send {}

impl<S: Read + Write + Unpin + Send> Stream for S {}

fn tunnel<C>(proxy: &Intercept, connector: C) -> Tunnel<C> {
    let tunnel = Tunnel::new(proxy.uri().clone(), connector);
    match proxy.basic_auth() {
        Some(authorization) => tunnel.with_auth(authorization.clone()),
        None => tunnel,
    }
}

/// Converts a connector's error; `rule` is that of a direct connection.
fn connect_error(origin: &Origin, rule: Option<AddressRule>, error: BoxError) -> ClientError {
    let host = || origin.host().to_owned();
    match (find_resolve_error(&*error), rule) {
        (Some(ResolveError::Refused), Some(rule)) => rule.refuse(origin),
        (Some(ResolveError::Empty), Some(_)) => ClientError::Resolve {
            host: host(),
            source: None,
        },
        (Some(ResolveError::Lookup(error)), Some(_)) => ClientError::Resolve {
            host: host(),
            source: Some(io::Error::new(error.kind(), error.to_string())),
        },
        // The name of a proxy is in the chain of the error.
        _ => ClientError::connect(origin, error),
    }
}

fn find_resolve_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e ResolveError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::AddressPolicy, *};

    #[tokio::test]
    async fn refuses_a_name_that_resolves_to_a_private_address() {
        let config = ClientConfig {
            addresses: AddressPolicy::PublicOnly,
            ..ClientConfig::default()
        };
        let tls = Arc::new(config.trust.tls_config().unwrap());
        let connector = Connector {
            config: &config,
            tls: &tls,
        };
        // As if the check of the URL had not refused the name, which only the resolver knows then.
        let origin = Origin::from_url(&Uri::from_static("http://localhost:1/")).unwrap();
        let error = connector
            .connect(&origin, &Route::Direct)
            .await
            .unwrap_err();
        assert!(matches!(error, ClientError::RefusedAddress(_)), "{error:?}");
    }
}
