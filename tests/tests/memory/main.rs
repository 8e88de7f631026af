//! Every program under its worst inputs, in a control group with the memory that its `component.yaml` declares.
//!
//! The kernel kills a program that takes more, and then the test fails. Without control groups coins and
//! telemetry-forwarder are measured, and the others skipped, by name. `cargo test --test memory -- --nocapture` prints the peaks; those
//! of a group have the cache of files, which the kernel keeps as long as there is room.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed precondition must fail the test"
)]

mod client;
mod container;
mod photos;

use std::fs;

use client::{Client, app, http2, post};
use container::{Container, NeedsGroup, free_address};
use photos::progressive_jpeg;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Sends the worst inputs of a proxy over HTTP/1.1 and HTTP/2, one kind after the other.
fn abuse_proxy(http1: &Client, h2: &Client) {
    let header = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(31_000)
    );
    drop(http1.send_many(600, header.as_bytes()));
    // An app that reads no body, and clients that read no response.
    drop(http1.send_many(400, &post("/never", "", &vec![b'x'; 1 << 20])));
    let large = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
    drop(http1.send_many(400, large));

    drop(h2.send_many(400, &http2("/never", 1, &vec![b'x'; 65_535])));
    drop(h2.send_many(20, &http2("/large", 250, b"")));
    drop(h2.send_many(400, &http2("/large", 1, b"")));
}

#[test]
fn auth_filter_stays_within_its_memory() {
    let upstream = format!("http://{}", app());
    let settings = [
        ("AUTH_FILTER_LISTEN", "{address}"),
        ("AUTH_FILTER_ADMIN", "127.0.0.1:0"),
        ("AUTH_FILTER_UPSTREAM", &upstream),
        ("AUTH_FILTER_LOG", "error"),
        ("AUTH_FILTER_RULES", r#"[{"path":"/**","public":true}]"#),
        (
            "AUTH_FILTER_API_KEYS",
            r#"[{"id":"a","sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]"#,
        ),
    ];
    let Some(container) = Container::start("sidecars/auth-filter", NeedsGroup::Yes, &settings)
    else {
        return;
    };

    let client = Client::new(container.address);
    abuse_proxy(&client, &client);
    assert_eq!(client.status(GET), 200);
    container.assert_survived();
}

#[test]
fn tls_proxy_stays_within_its_memory() {
    let names = vec!["localhost".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let folder = tempfile::TempDir::new().expect("writable");
    let file = folder.path().join("tls.pem");
    let pem = certified.cert.pem() + &certified.signing_key.serialize_pem();
    fs::write(&file, pem).expect("writable");

    let upstream = format!("http://{}", app());
    let settings = [
        ("TLS_PROXY_LISTEN", "{address}"),
        ("TLS_PROXY_ADMIN", "127.0.0.1:0"),
        ("TLS_PROXY_UPSTREAM", &upstream),
        ("TLS_PROXY_LOG", "error"),
        ("TLS_PROXY_CERTIFICATE_FILE", &file.to_string_lossy()),
    ];
    let Some(container) = Container::start("sidecars/tls-proxy", NeedsGroup::Yes, &settings) else {
        return;
    };

    let certificate = certified.cert.der();
    let client = |protocol| Client::with_tls(container.address, certificate.clone(), protocol);
    abuse_proxy(&client("http/1.1"), &client("h2"));
    assert_eq!(client("http/1.1").status(GET), 200);
    container.assert_survived();
}

#[test]
fn telemetry_forwarder_stays_within_its_memory() {
    // Nothing is taken off the queue.
    let endpoint = format!("http://{}", free_address());
    let grpc = free_address().to_string();
    let settings = [
        ("TELEMETRY_FORWARDER_LISTEN", "{address}"),
        ("TELEMETRY_FORWARDER_LISTEN_GRPC", &grpc),
        ("TELEMETRY_FORWARDER_ADMIN", "127.0.0.1:0"),
        ("TELEMETRY_FORWARDER_ENDPOINT", &endpoint),
        (
            "TELEMETRY_FORWARDER_RESOURCE",
            r#"{"service.namespace":"a"}"#,
        ),
        ("TELEMETRY_FORWARDER_LOG", "error"),
    ];
    let Some(container) =
        Container::start("sidecars/telemetry-forwarder", NeedsGroup::No, &settings)
    else {
        return;
    };

    let client = Client::new(container.address);
    let protobuf = "content-type: application/x-protobuf\r\n";
    let traces = |body: &[u8]| post("/v1/traces", protobuf, body);

    // Slow bodies of 1 MiB, of which the end is missing.
    let mut slow = traces(&vec![0; 1 << 20]);
    slow.truncate(slow.len() - 100);
    let slow = client.send_many(100, &slow);

    // An envelope with a span, and a resource of 12 MiB with attributes, or parts, of a few bytes.
    let varint = |mut value: usize| {
        let mut out = Vec::new();
        while value > 127 {
            out.push(value as u8 | 128);
            value >>= 7;
        }
        out.push(value as u8);
        out
    };
    let field = |key: u8, data: &[u8]| [&[key], &varint(data.len())[..], data].concat();
    let span = [0x12, 2, 0x12, 0];
    let attributes = field(10, &[10, 2, 10, 0].repeat(3 << 20));
    let resources = [10, 0].repeat(6 << 20);
    for resource in [attributes, resources] {
        let request = traces(&field(10, &[&resource, &span[..]].concat()));
        let statuses = client.statuses(8, &request);
        assert!(
            statuses
                .iter()
                .all(|status| [200, 413, 503, 400].contains(status)),
            "{statuses:?}"
        );
    }

    // Numbers of two bytes that become eight.
    let bounds = "1,".repeat(5 << 20);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"a","histogram":{{"dataPoints":[{{"explicitBounds":[{bounds}1]}}]}}}}]}}]}}]}}"#
    );
    let request = post(
        "/v1/metrics",
        "content-type: application/json\r\n",
        json.as_bytes(),
    );
    let statuses = client.statuses(8, &request);
    assert!(
        statuses
            .iter()
            .all(|status| [400, 413, 503].contains(status)),
        "{statuses:?}"
    );
    drop(slow);

    // The smallest request, until the queue is full.
    let tiny = field(10, &span);
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n{protobuf}content-length: {}\r\n\r\n",
        tiny.len()
    );
    let pipelined = [head.as_bytes(), &tiny].concat().repeat(5_000);
    drop(client.send_many(40, &pipelined));

    assert_eq!(client.status(&traces(b"")), 200);
    container.assert_survived();
}

#[test]
fn coins_stays_within_its_memory() {
    let settings = [
        ("COINS_LISTEN", "{address}"),
        ("COINS_ADMIN", "127.0.0.1:0"),
        ("COINS_LOG", "error"),
        // More than Fargate has for this size, so that photos are decoded at the same time.
        ("COINS_WORKERS", "4"),
    ];
    let Some(container) = Container::start("apps/coins", NeedsGroup::No, &settings) else {
        return;
    };

    let client = Client::new(container.address);
    let photo = |body: &[u8]| post("/v1/coins", "content-type: image/jpeg\r\n", body);
    let mut slow = photo(&vec![0; 1 << 20]);
    slow.truncate(slow.len() - 100);
    let slow = client.send_many(200, &slow);

    for (width, sampling, counted) in [
        (7000, [0x22, 0x11, 0x11], true),
        (5500, [0x11, 0x11, 0x11], true),
        (3000, [0x22, 0x11, 0x11], true),
        (7000, [0x11, 0x11, 0x11], false),
    ] {
        let request = photo(&progressive_jpeg(width, width, sampling));
        let statuses = client.statuses(20, &request);
        let expected = if counted { [200, 503] } else { [413, 503] };
        assert!(
            statuses.iter().all(|status| expected.contains(status)),
            "{width}: {statuses:?}"
        );
        assert!(statuses.contains(&expected[0]), "{width}: {statuses:?}");
    }

    // Pictures that nobody reads.
    let request = post(
        "/v1/coins/annotated",
        "accept: image/png\r\n",
        &progressive_jpeg(1200, 1200, [0x22, 0x11, 0x11]),
    );
    drop(client.send_many(40, &request));
    drop(slow);

    let sample = fs::read(acceptance::workspace().join("apps/coins/samples/euro.jpg"));
    assert_eq!(client.status(&photo(&sample.expect("a sample"))), 200);
    container.assert_survived();
}

#[test]
fn thumbnail_stays_within_its_memory() {
    let folder = tempfile::TempDir::new().expect("writable");
    let largest = folder.path().join("largest.mov");
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=black:s=8192x8192:r=1:d=1",
        ])
        .args(["-frames:v", "1", "-c:v", "png"])
        .arg(&largest)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        acceptance::report_skip("thumbnail", "ffmpeg is not installed");
        return;
    }

    let settings = [
        ("THUMBNAIL_LISTEN", "{address}"),
        ("THUMBNAIL_ADMIN", "127.0.0.1:0"),
        ("THUMBNAIL_LOG", "error"),
        ("THUMBNAIL_WORKERS", "4"),
    ];
    let Some(container) = Container::start("apps/thumbnail", NeedsGroup::Yes, &settings) else {
        return;
    };

    let client = Client::new(container.address);
    let mut slow = post("/v1/thumbnail", "", &vec![0; 1 << 20]);
    slow.truncate(slow.len() - 100);
    let slow = client.send_many(200, &slow);

    let video = fs::read(largest).expect("just made");
    for query in ["", "?width=8192&format=png", "?width=4000&format=png"] {
        let request = post(&format!("/v1/thumbnail{query}"), "", &video);
        let statuses = client.statuses(8, &request);
        assert!(
            statuses
                .iter()
                .all(|status| [200, 422, 503, 504].contains(status)),
            "{query}: {statuses:?}"
        );
    }
    drop(slow);

    assert_eq!(client.status(&post("/v1/thumbnail", "", b"no video")), 415);
    container.assert_survived();
}
