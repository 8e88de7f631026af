//! WebSockets, passed through: two connections become one tunnel.
//!
//! The listener notes the wish before it removes the headers of the hop; the upstream writes them
//! anew and, when the next hop agrees, leaves the tunnel with the connection, whose task carries it
//! under the connection's limits. No other upgrade is passed on: `h2c` would be a way around a filter.

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

/// Carries bytes until one side ends.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a tunnel is left for the task of its connection.
#[derive(Clone, Default)]
pub(super) struct TunnelSlot(Arc<Mutex<Option<Tunnel>>>);

/// In the extensions of a request whose client wants a WebSocket.
#[derive(Clone)]
struct UpgradeRequested(TunnelSlot);

impl TunnelSlot {
    /// Notes in the request that its client wants a WebSocket, if it does.
    pub(super) fn mark_upgrade_request<B>(&self, request: &mut Request<B>) {
        let possible = *request.method() == Method::GET && request.version() == Version::HTTP_11;
        if possible && wants_websocket(request.headers()) {
            request
                .extensions_mut()
                .insert(UpgradeRequested(self.clone()));
        }
    }

    /// The tunnel that was left here.
    pub(super) fn take(&self) -> Option<Tunnel> {
        self.tunnel().take()
    }

    fn tunnel(&self) -> MutexGuard<'_, Option<Tunnel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One side of a WebSocket that may come to be.
pub(super) struct PendingUpgrade {
    slot: TunnelSlot,
    client: OnUpgrade,
}

impl PendingUpgrade {
    /// Asks the next hop for what the client wants, if it wants a WebSocket.
    pub(super) fn request_from<B>(request: &mut Request<B>) -> Option<Self> {
        let UpgradeRequested(slot) = request.extensions_mut().remove()?;
        write(request.headers_mut());
        Some(Self {
            slot,
            client: hyper::upgrade::on(request),
        })
    }

    /// Makes the tunnel, once the next hop has accept.
    pub(super) fn accept<B>(self, response: &mut Response<B>) {
        write(response.headers_mut());
        let (client, next_hop) = (self.client, hyper::upgrade::on(response));
        *self.slot.tunnel() = Some(Box::pin(async move {
            let (client, next_hop) = match tokio::try_join!(client, next_hop) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "upgrade failed"),
            };

            let (mut client, mut next_hop) = (TokioIo::new(client), TokioIo::new(next_hop));
            if let Err(error) = copy_bidirectional(&mut client, &mut next_hop).await {
                tracing::debug!(%error, "tunnel broke off");
            }
        }));
    }
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let has = |name, wanted: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };

    let only_one = headers.get_all(UPGRADE).iter().count() == 1;
    let named = headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(WEBSOCKET));

    only_one && named && has(CONNECTION, "upgrade")
}

fn write(headers: &mut HeaderMap) {
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
    fn notes_a_wish_for_a_websocket() {
        assert!(is_marked(Method::GET, "keep-alive, Upgrade", "WebSocket"));
    }

    #[test]
    fn notes_no_other_wish() {
        assert!(!is_marked(Method::GET, "upgrade", "h2c"));
        assert!(!is_marked(Method::GET, "upgrade", "h2c, websocket"));
        assert!(!is_marked(Method::GET, "keep-alive", "websocket"));
        assert!(!is_marked(Method::POST, "upgrade", "websocket"));
    }
}
