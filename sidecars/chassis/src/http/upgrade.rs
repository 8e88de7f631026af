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

use super::{
    extended_connect::{ExtendedConnect, ProgressIo},
    pool::ConnectionPermit,
    request_slots::RequestSlot,
};
use crate::BoxError;

/// Copies bytes in both directions until one side closes.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands a tunnel over to the task of its connection.
#[derive(Clone, Default)]
pub(super) struct TunnelSlot(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tunnel: Option<Tunnel>,
    /// A tunnel counts as the request that asked for it.
    request: Option<RequestSlot>,
}

/// A request for a WebSocket with a body: 400.
///
/// An app that reads no body of such a request takes it for the next request on the connection, which
/// no filter has seen (CVE-2026-58055).
#[derive(Debug)]
pub(super) struct UpgradeWithBody;

/// Marks a request for a WebSocket, in the request's extensions.
#[derive(Clone)]
struct UpgradeRequested {
    slot: TunnelSlot,
    /// Set if the client speaks HTTP/2.
    extended: Option<ExtendedConnect>,
}

impl TunnelSlot {
    /// Marks the request if it asks for a WebSocket.
    pub(super) fn mark_upgrade_request<B: http_body::Body>(
        &self,
        request: &mut Request<B>,
    ) -> Result<(), UpgradeWithBody> {
        // RFC 6455 section 4.1: a GET request over HTTP/1.1.
        let possible = *request.method() == Method::GET && request.version() == Version::HTTP_11;
        if !possible || !wants_websocket(request.headers()) {
            return Ok(());
        }
        if !request.body().is_end_stream() {
            return Err(UpgradeWithBody);
        }

        let mark = UpgradeRequested {
            slot: self.clone(),
            extended: None,
        };
        request.extensions_mut().insert(mark);
        Ok(())
    }

    /// Marks a request that was an extended CONNECT.
    pub(super) fn mark_extended_connect<B>(
        &self,
        request: &mut Request<B>,
        extended: ExtendedConnect,
    ) {
        let mark = UpgradeRequested {
            slot: self.clone(),
            extended: Some(extended),
        };
        request.extensions_mut().insert(mark);
    }

    /// Keeps the slot of the request that asked for the tunnel.
    pub(super) fn hold(&self, request: RequestSlot) {
        self.state().request = Some(request);
    }

    /// Takes the tunnel, if there is one, and the slot of its request.
    pub(super) fn take(&self) -> Option<(Tunnel, Option<RequestSlot>)> {
        let mut state = self.state();
        Some((state.tunnel.take()?, state.request.take()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's side of an upgrade that the next hop has not answered yet.
pub(super) struct PendingUpgrade {
    slot: TunnelSlot,
    client: OnUpgrade,
    extended: Option<ExtendedConnect>,
}

impl PendingUpgrade {
    /// Returns whether the request is marked.
    pub(super) fn is_requested<B>(request: &Request<B>) -> bool {
        request.extensions().get::<UpgradeRequested>().is_some()
    }

    /// Adds the upgrade headers for the next hop to a marked request.
    pub(super) fn request_from<B>(request: &mut Request<B>) -> Option<Self> {
        // The mark stays: the pool opens a connection of its own for this request.
        let UpgradeRequested { slot, extended } =
            request.extensions().get::<UpgradeRequested>()?.clone();
        add_upgrade_headers(request.headers_mut());
        Some(Self {
            slot,
            client: hyper::upgrade::on(request),
            extended,
        })
    }

    /// Creates the tunnel once the next hop has accepted.
    pub(super) fn accept<B>(self, response: &mut Response<B>) -> Result<(), BoxError> {
        match &self.extended {
            None => add_upgrade_headers(response.headers_mut()),
            Some(extended) => extended.accept(response)?,
        }

        let progress = self.extended.map(ExtendedConnect::into_progress);
        let permit = response.extensions_mut().remove::<ConnectionPermit>();
        let (client, next_hop) = (self.client, hyper::upgrade::on(response));
        // Both upgrades resolve only after the 101 response is sent, so they are awaited within the tunnel.
        self.slot.state().tunnel = Some(Box::pin(async move {
            // The connection to the next hop counts while the tunnel is open.
            let _permit = permit;
            let (client, next_hop) = match tokio::try_join!(client, next_hop) {
                Ok(both) => both,
                Err(error) => return tracing::debug!(%error, "upgrade failed"),
            };

            let mut client = ProgressIo::new(TokioIo::new(client), progress);
            let mut next_hop = TokioIo::new(next_hop);
            if let Err(error) = copy_bidirectional(&mut client, &mut next_hop).await {
                tracing::debug!(%error, "tunnel failed");
            }
        }));
        Ok(())
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
    use crate::http::{empty, full};

    fn is_marked(method: Method, connection: &str, upgrade: &str) -> bool {
        let request = Request::builder()
            .method(method)
            .header(CONNECTION, connection);
        let mut request = request.header(UPGRADE, upgrade).body(empty()).unwrap();
        let marked = TunnelSlot::default().mark_upgrade_request(&mut request);
        marked.is_ok() && PendingUpgrade::is_requested(&request)
    }

    #[test]
    fn refuses_a_websocket_request_with_a_body() {
        let request = |upgrade, body| {
            let request = Request::get("/").header(CONNECTION, "upgrade");
            let mut request = request.header(UPGRADE, upgrade).body(full(body)).unwrap();
            TunnelSlot::default().mark_upgrade_request(&mut request)
        };
        assert!(request("websocket", "GET /admin").is_err());
        assert!(request("websocket", "").is_ok());
        // Not forwarded as an upgrade, so the body is an ordinary one.
        assert!(request("h2c", "body").is_ok());
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
