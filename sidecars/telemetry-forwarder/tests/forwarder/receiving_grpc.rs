//! Receiving OTLP/gRPC: frames, and the statuses that senders act on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use telemetry_forwarder::Config;

use crate::support::client::{call, frame, grpc_status};
use crate::support::samples::{gzip, traces};
use crate::support::sink::{Reply, Sink};
use crate::support::{TestForwarder, config, wait_until};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const OK: u16 = 0;
const INVALID_ARGUMENT: u16 = 3;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;

#[tokio::test]
async fn accepts_calls_on_both_ports_plain_and_compressed() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let plain = call(forwarder.grpc, TRACES, &[], frame(0, &traces(["plain"]))).await;
    assert_eq!((grpc_status(&plain), &plain.body[..]), (OK, &[0; 5][..]));
    assert!(plain.trailers.contains_key("grpc-status"));
    let compressed = frame(1, &gzip(&traces(["compressed"])));
    let compressed = call(
        forwarder.http,
        TRACES,
        &[("grpc-encoding", "gzip")],
        compressed,
    )
    .await;
    assert_eq!(grpc_status(&compressed), OK);
    wait_until("both", || sink.spans() == ["compressed", "plain"]).await;
}

#[tokio::test]
async fn rejects_a_large_message_as_permanent() {
    let small = Config {
        max_body_bytes: 10_000,
        ..config("")
    };
    let forwarder = TestForwarder::start(small).await;
    let large = vec![0; 5 << 20];

    for (headers, frame) in [
        (&[][..], frame(0, &large)),
        (&[("grpc-encoding", "gzip")][..], frame(1, &gzip(&large))),
    ] {
        let response = call(forwarder.grpc, TRACES, headers, frame).await;
        assert_eq!(grpc_status(&response), RESOURCE_EXHAUSTED);
        // OTLP treats RESOURCE_EXHAUSTED as retryable only with `RetryInfo`.
        assert!(!response.headers.contains_key("google.rpc.retryinfo-bin"));
    }
}

#[tokio::test]
async fn returns_a_retry_delay_in_both_headers_when_the_queue_is_full() {
    let sink = Sink::start().await;
    sink.respond_with(|_| Reply::status(503));
    let message = traces(["a"]);
    let small = Config {
        max_body_bytes: 100,
        max_queue_bytes: 100,
        ..config(sink.url())
    };
    let forwarder = TestForwarder::start(small).await;
    let first = call(forwarder.grpc, TRACES, &[], frame(0, &message)).await;

    assert_eq!(grpc_status(&first), OK);
    let second = call(forwarder.grpc, TRACES, &[], frame(0, &message)).await;
    assert_eq!(grpc_status(&second), UNAVAILABLE);

    let binary = |name| {
        STANDARD_NO_PAD
            .decode(second.headers[name].as_bytes())
            .unwrap()
    };

    // RetryInfo { retry_delay: 1 s }, alone and at the end of google.rpc.Status.
    let retry_info = [0x0a, 0x02, 0x08, 0x01];
    assert_eq!(binary("google.rpc.retryinfo-bin"), retry_info);
    let status = binary("grpc-status-details-bin");
    assert!(status.starts_with(&[0x08, 14]) && status.ends_with(&retry_info));
}

#[tokio::test]
async fn distinguishes_malformed_unknown_and_broken_calls() {
    let forwarder = TestForwarder::start(config("")).await;
    let status = async |method, headers: &[(&str, &str)], frame| {
        grpc_status(&call(forwarder.grpc, method, headers, frame).await)
    };

    assert_eq!(
        status(TRACES, &[], frame(0, b"\x0a\x05\x01")).await,
        INVALID_ARGUMENT
    );
    assert_eq!(status("/a.B/C", &[], frame(0, b"")).await, UNIMPLEMENTED);

    let zstd = [("grpc-encoding", "zstd")];
    assert_eq!(status(TRACES, &zstd, frame(1, b"")).await, UNIMPLEMENTED);
    // The compressed flag without `grpc-encoding`.
    assert_eq!(status(TRACES, &[], frame(1, b"")).await, INTERNAL);
    assert_eq!(status(TRACES, &[], Vec::new()).await, INTERNAL);
    // A unary call has exactly one message.
    let two = [frame(0, b""), frame(0, b"")].concat();

    assert_eq!(status(TRACES, &[], two).await, INTERNAL);
    assert_eq!(status(TRACES, &[], frame(0, b"")).await, OK);
}
