//! Handles the requests of one connection.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::{HeaderValue, Request, Response, StatusCode, header::CONNECTION};
use hyper::body::Incoming;

use super::{
    Body, Peer, Protocol,
    activity::Activity,
    answer::{Answer, is_chunked_only},
    box_body,
    drain_on_drop::DrainOnDrop,
    extended_connect::PendingTunnel,
    request_slots::ClientSlots,
    stream_executor::{StreamExecutor, StreamProgress},
    strip_hop_by_hop,
    tracked_body::{InFlightRequest, TrackedBody},
    upgrade::{TunnelSlot, UpgradeWithBody},
};

/// Passes the requests of one connection to its service, and tracks them until their responses are sent.
pub(super) struct RequestHandler<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) activity: Activity,
    pub(super) slots: ClientSlots,
    pub(super) upgrade_slot: TunnelSlot,
    /// The executor of an HTTP/2 connection's streams.
    pub(super) streams: Option<StreamExecutor>,
    /// Only ever set for HTTP/1.1: HTTP/2 forbids the `Connection` header and has GOAWAY.
    pub(super) is_closing: Arc<AtomicBool>,
}

impl<S> RequestHandler<S> {
    /// Starts to answer a request, and returns a future with the response.
    pub(super) fn handle<F>(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<TrackedBody>, Infallible>> + Send + use<S, F>
    where
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        request.extensions_mut().insert(self.peer);
        let progress = self.streams.as_ref().map(StreamExecutor::prepare);
        let stream = self.streams.as_ref().zip(progress.as_ref());
        let tunnel = stream.and_then(|(streams, progress)| {
            PendingTunnel::from_request(&mut request, streams, progress)
        });
        let marked = self.upgrade_slot.mark_upgrade_request(&mut request);
        let is_chunked_only = is_chunked_only(request.headers());

        // First, so that a client's `Connection` header cannot name one that a component adds later.
        strip_hop_by_hop(request.headers_mut());
        // In flight from the complete header section until the last byte of the response body is sent.
        let in_flight = self.activity.begin();
        if self.peer.protocol != Protocol::Http2 {
            // An HTTP/1.1 client can give up a request only with its connection, so none is counted.
            in_flight.finish();
        }

        let request = drain_body_on_drop(request, progress.clone());
        let answer = match marked {
            Err(UpgradeWithBody) => Answer::upgrade_with_body(),
            Ok(()) if !is_chunked_only => Answer::unsupported_coding(),
            Ok(()) if self.activity.has_too_many_aborts() => Answer::busy(),
            Ok(()) => Answer::new(&self.service, &self.slots, request),
        };
        let is_closing = Arc::clone(&self.is_closing);
        let upgrade_slot = self.upgrade_slot.clone();

        async move {
            let (mut response, mut slot) = answer.wait().await;
            if let Some(tunnel) = tunnel {
                response = tunnel.start(response, &mut slot);
            }

            let is_closing = is_closing.load(Ordering::Relaxed);
            let slot = match slot {
                Some(slot) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    upgrade_slot.hold(slot);
                    None
                }
                slot => slot,
            };
            let in_flight = InFlightRequest::new(in_flight, slot, progress);
            Ok(finish_response(response, is_closing, in_flight))
        }
    }
}

fn drain_body_on_drop(
    request: Request<Incoming>,
    progress: Option<StreamProgress>,
) -> Request<Body> {
    let (head, body) = request.into_parts();
    let body = DrainOnDrop::new(body, &head.headers, progress);
    Request::from_parts(head, box_body(body))
}

fn finish_response(
    mut response: Response<Body>,
    is_closing: bool,
    in_flight: InFlightRequest,
) -> Response<TrackedBody> {
    // A 101 response has `Connection: upgrade`, and its connection becomes the tunnel.
    if is_closing && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }

    response.map(|body| TrackedBody::new(body, in_flight))
}
