//! WebSocket upgrades: two connections become one tunnel.
//!
//! The server marks an upgrade request before it removes the hop-by-hop headers; the upstream client
//! adds them again and, if the next hop accepts, stores the tunnel in the slot of the connection. The
//! connection's task runs it within its limits. No other upgrade is forwarded: `h2c` would bypass a filter.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Version,
    header::{CONNECTION, UPGRADE},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Copies bytes in both directions until one side closes.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands a tunnel over to the task of its connection.
#[derive(Clone, Default)]
pub(super) struct TunnelSlot(Arc<Mutex<Option<Tunnel>>>);

/// Marks a request for a WebSocket, in the request's extensions.
#[derive(Clone)]
struct UpgradeRequested(TunnelSlot);

impl TunnelSlot {
    /// Marks the request if it asks for a WebSocket.
    pub(super) fn mark_upgrade_request<B>(&self, request: &mut Request<B>) {
        // RFC 6455 section 4.1: a GET request over HTTP/1.1.
        let possible = *request.method() == Method::GET && request.version() == Version::HTTP_11;
        if possible && wants_websocket(request.headers()) {
            request
                .extensions_mut()
                .insert(UpgradeRequested(self.clone()));
        }
    }

    /// Takes the tunnel, if there is one.
    pub(super) fn take(&self) -> Option<Tunnel> {
        self.tunnel().take()
    }

    fn tunnel(&self) -> MutexGuard<'_, Option<Tunnel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's side of an upgrade that the next hop has not answered yet.
pub(super) struct PendingUpgrade {
    slot: TunnelSlot,
    client: OnUpgrade,
}

impl PendingUpgrade {
    /// Adds the upgrade headers for the next hop to a marked request.
    pub(super) fn request_from<B>(request: &mut Request<B>) -> Option<Self> {
        let UpgradeRequested(slot) = request.extensions_mut().remove()?;
        add_upgrade_headers(request.headers_mut());
        Some(Self {
            slot,
            client: hyper::upgrade::on(request),
        })
    }

    /// Creates the tunnel once the next hop has accepted.
    pub(super) fn accept<B>(self, response: &mut Response<B>) {
        add_upgrade_headers(response.headers_mut());
        let (client, next_hop) = (self.client, hyper::upgrade::on(response));
        // Both upgrades resolve only after the 101 response is sent, so they are awaited within the tunnel.
        *self.slot.tunnel() = Some(Box::pin(async move {
            let (client, next_hop) = match tokio::try_join!(client, next_hop) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "upgrade failed"),
            };

            let (mut client, mut next_hop) = (TokioIo::new(client), TokioIo::new(next_hop));
            if let Err(error) = copy_bidirectional(&mut client, &mut next_hop).await {
                tracing::debug!(%error, "tunnel failed");
            }
        }));
    }
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let has = |name, token: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(token))
    };

    // A list of protocols lets the server choose, and it might choose one that bypasses the filters.
    let is_single = headers.get_all(UPGRADE).iter().count() == 1;
    let is_websocket = headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET));

    is_single && is_websocket && has(CONNECTION, "upgrade")
}

fn add_upgrade_headers(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

const WEBSOCKET: &[u8] = b"websocket";

#[cfg(test)]
mod tests {
    use super::*;

    fn is_marked(method: Method, connection: &str, upgrade: &str) -> bool {
        let request = Request::builder()
            .method(method)
            .header(CONNECTION, connection);
        let mut request = request.header(UPGRADE, upgrade).body(()).unwrap();
        TunnelSlot::default().mark_upgrade_request(&mut request);
        request.extensions().get::<UpgradeRequested>().is_some()
    }

    #[test]
    fn marks_a_websocket_request() {
        assert!(is_marked(Method::GET, "keep-alive, Upgrade", "WebSocket"));
    }

    #[test]
    fn marks_no_other_request() {
        assert!(!is_marked(Method::GET, "upgrade", "h2c"));
        assert!(!is_marked(Method::GET, "upgrade", "h2c, websocket"));
        assert!(!is_marked(Method::GET, "keep-alive", "websocket"));
        assert!(!is_marked(Method::POST, "upgrade", "websocket"));
    }
}
