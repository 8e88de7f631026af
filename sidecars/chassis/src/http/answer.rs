//! How a request is answered: by the service when there is a slot for it, or by a refusal.

use std::{future::Future, pin::Pin};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{CONNECTION, RETRY_AFTER, TRANSFER_ENCODING},
};

use super::{
    Body, problem,
    request_slots::{ClientSlots, RequestSlot},
};

/// A response, and the slot of its request if it needed one.
type Answered = (Response<Body>, Option<RequestSlot>);

/// How a request is answered.
pub(super) enum Answer<F> {
    /// By the service; the request has its slot.
    Service(F, RequestSlot),
    /// By the service, once there is a slot. Boxed, because it is rare and holds a whole request.
    Waiting(Pin<Box<dyn Future<Output = Answered> + Send>>),
    /// Without the service.
    Refused(Box<Response<Body>>),
}

impl<F: Future<Output = Response<Body>> + Send + 'static> Answer<F> {
    pub(super) fn new<S>(service: &S, slots: &ClientSlots, request: Request<Body>) -> Self
    where
        S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    {
        if let Some(slot) = slots.try_acquire() {
            return Self::Service(service(request), slot);
        }

        let (service, slots) = (service.clone(), slots.clone());
        Self::Waiting(Box::pin(async move {
            match slots.acquire().await {
                Some(slot) => (service(request).await, Some(slot)),
                None => (busy_response(), None),
            }
        }))
    }

    pub(super) async fn wait(self) -> Answered {
        match self {
            Self::Service(answering, slot) => (answering.await, Some(slot)),
            Self::Waiting(answering) => answering.await,
            Self::Refused(response) => (*response, None),
        }
    }

    /// A limit is reached: 503.
    pub(super) fn busy() -> Self {
        Self::Refused(Box::new(busy_response()))
    }

    /// A request for a WebSocket has a body: 400.
    pub(super) fn upgrade_with_body() -> Self {
        let message = "a request for a WebSocket must not have a body";
        Self::refuse(StatusCode::BAD_REQUEST, "upgrade_with_body", message)
    }

    /// The body has another transfer coding than `chunked`: 501 (RFC 9112 section 6.1).
    pub(super) fn unsupported_coding() -> Self {
        let message = "the only supported transfer coding is `chunked`";
        Self::refuse(StatusCode::NOT_IMPLEMENTED, "unsupported_coding", message)
    }

    /// Refuses a request whose framing hops could read differently, so the connection is not used again.
    fn refuse(status: StatusCode, code: &str, message: &str) -> Self {
        let mut response = problem(status, code, message);
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        Self::Refused(Box::new(response))
    }
}

fn busy_response() -> Response<Body> {
    let message = "too many requests are in flight; try again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    let retry_after = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, retry_after);
    response
}

/// Returns whether the body has no other transfer coding than `chunked`.
///
/// hyper decodes only that one; the hop after this one would take `gzip, chunked` for a plain body.
pub(super) fn is_chunked_only(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}
