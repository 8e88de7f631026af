//! The receiving side: OTLP over HTTP and gRPC, on either port.
//!
//! ```text
//! request ─▶ http.rs or grpc.rs ─▶ whole body, decompressed, within the memory ─▶ intake.rs
//!                                     validate ─▶ enrich ─▶ queue ─▶ response
//! ```

mod body;
mod grpc;
mod http;
mod intake;

use std::pin::pin;

use ::http::header::EXPECT;
use ::http::{Request, Response, StatusCode, Version};
use bytes::Bytes;
use chassis::BoxError;
use chassis::http::Body;

use body::discard;

pub(crate) use intake::{Intake, RequestLimits};

/// Handles a request of either protocol.
pub(crate) async fn handle<B>(intake: Intake, request: Request<B>) -> Response<Body>
where
    B: ::http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    let mut body = pin!(body);
    let response = if grpc::is_grpc(&head.headers) {
        grpc::handle(&intake, &head, body.as_mut()).await
    } else {
        http::handle(&intake, &head, body.as_mut()).await
    };

    // A client that is still writing does not read the response: it sees a reset connection and
    // retries. HTTP/2 allows an early response, a client that sent `Expect: 100-continue` has not
    // started its body (RFC 9110, section 10.1.1), and after a timeout there is nothing to wait for.
    let is_sending = head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT);
    if is_sending && response.status() != StatusCode::REQUEST_TIMEOUT {
        discard(body, intake.limits()).await;
    }

    response
}
