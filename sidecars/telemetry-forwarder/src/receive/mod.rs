//! The receiving side: OTLP over HTTP and over gRPC, on either port.
//!
//! ```text
//! request ─▶ http.rs or grpc.rs ─▶ body.rs (whole, decompressed, bounded) ─▶ intake.rs
//!                                     validate ─▶ enrich ─▶ queue ─▶ handle
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

pub(crate) use body::Budget;
pub(crate) use intake::{Intake, RequestLimits};

/// Answers one request, whichever protocol it speaks.
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

    // A sender that is still sending does not read the handle: it sees a broken connection and
    // sends everything again. HTTP/2 has room for an early handle, who asked first sends nothing,
    // and who was too slow has had its time.
    let sends_on = head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT);
    if sends_on && response.status() != StatusCode::REQUEST_TIMEOUT {
        discard(body, intake.limits()).await;
    }

    response
}
