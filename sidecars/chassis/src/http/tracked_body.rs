//! The response body that keeps its request in flight until the client has taken it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};

use super::{
    Body, activity::InFlightGuard, request_slots::RequestSlot, stream_executor::StreamProgress,
};
use crate::BoxError;

/// A request in flight, from its header section to the end of its response.
#[derive(Debug)]
pub(super) struct InFlightRequest {
    guard: InFlightGuard,
    _slot: Option<RequestSlot>,
    /// The stream of an HTTP/2 request.
    progress: Option<StreamProgress>,
}

/// A response body that keeps its request in flight.
pub(super) struct TrackedBody {
    body: Body,
    in_flight: Holder,
}

/// What the request is in flight with.
enum Holder {
    /// HTTP/1.1: the body, which ends when the connection has taken all of it.
    Body(InFlightRequest),
    /// HTTP/2: the data too. hyper drops the body when h2 has all of it, but h2 keeps what the client's
    /// flow-control window does not admit, for as long as the client likes.
    Data(Arc<InFlightRequest>),
}

/// Data of a response that keeps its request in flight.
#[derive(Debug)]
pub(super) struct TrackedBytes {
    bytes: Bytes,
    in_flight: Option<Arc<InFlightRequest>>,
}

impl InFlightRequest {
    pub(super) fn new(
        guard: InFlightGuard,
        slot: Option<RequestSlot>,
        progress: Option<StreamProgress>,
    ) -> Self {
        Self {
            guard,
            _slot: slot,
            progress,
        }
    }

    fn record_progress(&self) {
        if let Some(progress) = &self.progress {
            progress.record();
        }
    }
}

impl Holder {
    fn request(&self) -> &InFlightRequest {
        match self {
            Self::Body(request) => request,
            Self::Data(request) => request,
        }
    }
}

impl TrackedBody {
    pub(super) fn new(body: Body, in_flight: InFlightRequest) -> Self {
        in_flight.record_progress();
        if body.is_end_stream() {
            in_flight.guard.finish();
        }

        let in_flight = if in_flight.progress.is_some() {
            Holder::Data(Arc::new(in_flight))
        } else {
            Holder::Body(in_flight)
        };
        Self { body, in_flight }
    }
}

impl http_body::Body for TrackedBody {
    type Data = TrackedBytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<TrackedBytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let request = self.in_flight.request();
        request.record_progress();
        // An error is the end too: the upstream broke off, not the client.
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            request.guard.finish();
        }

        let in_flight = match &self.in_flight {
            Holder::Body(_) => None,
            Holder::Data(request) => Some(Arc::clone(request)),
        };
        let track = |bytes| TrackedBytes { bytes, in_flight };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(track))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Buf for TrackedBytes {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        // h2 advances when it writes a part, which the client's window has admitted.
        if let Some(in_flight) = &self.in_flight {
            in_flight.record_progress();
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.bytes.copy_to_bytes(count)
    }
}
