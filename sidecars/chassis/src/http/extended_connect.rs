//! WebSockets over HTTP/2: an extended CONNECT (RFC 8441), forwarded as an upgrade of HTTP/1.1.
//!
//! The service sees the same GET request as for a WebSocket over HTTP/1.1, so that it judges both alike.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    rand,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY},
};
use hyper::ext::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Body, problem,
    request_slots::RequestSlot,
    stream_executor::{StreamExecutor, StreamProgress},
    upgrade::TunnelSlot,
};
use crate::BoxError;

/// A request that began as an extended CONNECT.
#[derive(Debug, Clone)]
pub(super) struct ExtendedConnect {
    /// The value of `Sec-WebSocket-Accept` that the next hop must answer with.
    expected: String,
    progress: StreamProgress,
}

/// A tunnel that begins if the next hop accepts it.
pub(super) struct PendingTunnel {
    slot: TunnelSlot,
    streams: StreamExecutor,
    progress: StreamProgress,
}

impl PendingTunnel {
    /// Rewrites an extended CONNECT for a WebSocket as the GET request of HTTP/1.1.
    ///
    /// Any other CONNECT stays what it is, for the service to refuse. hyper adds the protocol only if the
    /// server has announced that it accepts the extension.
    pub(super) fn from_request<B>(
        request: &mut Request<B>,
        streams: &StreamExecutor,
        progress: &StreamProgress,
    ) -> Option<Self> {
        let protocol = request.extensions_mut().remove::<Protocol>()?;
        let is_websocket = protocol.as_str().eq_ignore_ascii_case("websocket");
        // RFC 8441 section 4: with `:protocol`, the target has a path.
        let has_path = request.uri().path().starts_with('/');
        if *request.method() != Method::CONNECT || !is_websocket || !has_path {
            return None;
        }

        // RFC 8441 section 5: HTTP/2 has no key, and RFC 6455 section 4.1 requires a random one.
        let mut random = [0; 16];
        rand::fill(&mut random).ok()?;
        let key = BASE64_STANDARD.encode(random);
        let extended = ExtendedConnect {
            expected: accept_key(&key),
            progress: progress.clone(),
        };
        let key = HeaderValue::from_str(&key).ok()?;
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
        *request.method_mut() = Method::GET;

        let slot = TunnelSlot::default();
        slot.mark_extended_connect(request, extended);
        Some(Self {
            slot,
            streams: streams.clone(),
            progress: progress.clone(),
        })
    }

    /// Starts the tunnel of an accepted request, and counts it as that request until it ends.
    ///
    /// A success without a tunnel, such as of an app that ignores upgrades, becomes an error: to the client,
    /// each success would mean that its WebSocket is open.
    pub(super) fn start(
        self,
        response: Response<Body>,
        request: &mut Option<RequestSlot>,
    ) -> Response<Body> {
        if let Some((tunnel, _)) = self.slot.take() {
            let request = request.take();
            self.streams.spawn_tunnel(self.progress, tunnel, request);
            return response;
        }
        if !response.status().is_success() {
            return response;
        }
        let message = "the upstream did not accept the WebSocket";
        problem(StatusCode::BAD_GATEWAY, "upgrade_refused", message)
    }
}

impl ExtendedConnect {
    /// Turns the 101 of the next hop into the 200 of HTTP/2.
    pub(super) fn accept<B>(&self, response: &mut Response<B>) -> Result<(), BoxError> {
        // A client over HTTP/2 cannot verify the key that it has not sent (RFC 6455 section 4.1).
        let accept = response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        if accept.is_none_or(|accept| accept != self.expected) {
            return Err("it accepted a WebSocket with a wrong `Sec-WebSocket-Accept`".into());
        }
        *response.status_mut() = StatusCode::OK;
        Ok(())
    }

    pub(super) fn into_progress(self) -> StreamProgress {
        self.progress
    }
}

/// RFC 6455 section 4.2.2, which uses SHA-1 as a checksum only.
fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    BASE64_STANDARD.encode(sum.as_ref())
}

/// A stream that records its bytes as progress of an HTTP/2 stream, if it is one.
#[derive(Debug)]
pub(super) struct ProgressIo<Io> {
    io: Io,
    progress: Option<StreamProgress>,
}

impl<Io> ProgressIo<Io> {
    pub(super) fn new(io: Io, progress: Option<StreamProgress>) -> Self {
        Self { io, progress }
    }

    fn record(&self) {
        if let Some(progress) = &self.progress {
            progress.record();
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for ProgressIo<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        self.record();
        Poll::Ready(read)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for ProgressIo<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf));
        self.record();
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::{activity::Activity, full};

    #[test]
    fn computes_the_accept_key_of_rfc_6455() {
        // The example of section 1.3.
        let accept = accept_key("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    fn rewrite(
        method: Method,
        protocol: &'static str,
        target: &str,
    ) -> Option<(Request<()>, PendingTunnel)> {
        let request = Request::builder().method(method).uri(target);
        let request = request.header(SEC_WEBSOCKET_KEY, "from-client");
        let mut request = request.body(()).unwrap();
        let protocol = Protocol::from_static(protocol);
        request.extensions_mut().insert(protocol);
        let streams = StreamExecutor::new(Activity::new(), Duration::from_secs(1));
        let progress = StreamProgress::new(Activity::new());
        let tunnel = PendingTunnel::from_request(&mut request, &streams, &progress)?;
        Some((request, tunnel))
    }

    #[tokio::test]
    async fn rewrites_only_requests_for_a_websocket() {
        let target = "https://a.example/chat?x";
        let (request, _) = rewrite(Method::CONNECT, "websocket", target).unwrap();
        assert_eq!(*request.method(), Method::GET);
        assert_eq!(request.uri(), target);
        assert_ne!(request.headers()[SEC_WEBSOCKET_KEY], "from-client");

        assert!(rewrite(Method::CONNECT, "connect-udp", target).is_none());
        assert!(rewrite(Method::POST, "websocket", target).is_none());
        // A plain CONNECT has no path.
        assert!(rewrite(Method::CONNECT, "websocket", "a.example:443").is_none());
    }

    #[tokio::test]
    async fn a_success_without_a_tunnel_becomes_an_error() {
        let status = |status| {
            let target = "https://a.example/chat";
            let (_, tunnel) = rewrite(Method::CONNECT, "websocket", target).unwrap();
            let mut response = Response::new(full("text"));
            *response.status_mut() = status;
            tunnel.start(response, &mut None).status()
        };
        assert_eq!(status(StatusCode::OK), StatusCode::BAD_GATEWAY);
        assert_eq!(status(StatusCode::FORBIDDEN), StatusCode::FORBIDDEN);
    }
}
