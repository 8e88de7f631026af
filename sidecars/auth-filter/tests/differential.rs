//! Sends random requests through the filter. Whatever reaches the app is parsed again by another
//! parser and interpreted like careless servers do; every interpretation must be authorized.
//!
//! `FUZZ_CASES` sets their number and `FUZZ_SEED` the seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use support::harness::Harness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An app that records every byte of every connection and responds to each request head.
struct ByteRecorder {
    address: std::net::SocketAddr,
    streams: Arc<Mutex<Vec<Stream>>>,
}

/// The bytes of one connection.
type Stream = Arc<Mutex<Vec<u8>>>;

impl ByteRecorder {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(Mutex::new(Vec::new()));
        let all = streams.clone();

        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bytes = Arc::new(Mutex::new(Vec::new()));
                all.lock().unwrap().push(bytes.clone());
                tokio::spawn(record(stream, bytes));
            }
        });

        Self { address, streams }
    }

    fn streams(&self) -> Vec<Vec<u8>> {
        let streams = self.streams.lock().unwrap();
        streams
            .iter()
            .map(|bytes| bytes.lock().unwrap().clone())
            .collect()
    }
}

async fn record(mut stream: TcpStream, bytes: Stream) {
    let mut part = vec![0; 16 * 1024];
    let mut answered = 0;
    while let Ok(count @ 1..) = stream.read(&mut part).await {
        let whole = {
            let mut bytes = bytes.lock().unwrap();
            bytes.extend_from_slice(&part[..count]);
            requests(&bytes)
                .iter()
                .filter(|request| request.is_complete)
                .count()
        };
        while answered < whole {
            answered += 1;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// A request as parsed by the second parser.
#[derive(Debug)]
struct ParsedRequest {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    is_complete: bool,
}

/// Parses a connection strictly by RFC 9112 and panics on any deviation.
fn requests(bytes: &[u8]) -> Vec<ParsedRequest> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(rest) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => break,
            Err(error) => panic!("{error}: {:?}", String::from_utf8_lossy(rest)),
        };

        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|header| {
                let value = String::from_utf8_lossy(header.value).into_owned();
                (header.name.to_ascii_lowercase(), value)
            })
            .collect();

        assert_eq!(request.version, Some(1), "{headers:?}");
        let all = |name: &str| -> Vec<&str> {
            let same = headers.iter().filter(|(known, _)| known == name);
            same.map(|(_, value)| value.as_str()).collect()
        };
        // RFC 9112 6.3: a request has a length, a chunked body or none, never two of them.
        let body = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
            ([], []) => Some(0),
            ([length], []) => Some(length.parse().unwrap()),
            ([], ["chunked"]) => parse_chunked_body(&rest[head..]),
            other => panic!("two ways to frame a body: {other:?}"),
        };

        let end = body
            .map(|body| head + body)
            .filter(|end| *end <= rest.len());
        found.push(ParsedRequest {
            method: request.method.unwrap().to_owned(),
            path: request.path.unwrap().to_owned(),
            headers,
            is_complete: end.is_some(),
        });
        rest = end.map_or(&[][..], |end| &rest[end..]);
    }

    found
}

/// Returns the length of a chunked body if it is complete.
fn parse_chunked_body(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = body[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&body[at..at + line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        at += line + 2 + size;

        if size == 0 {
            // The filter forwards no trailers to an HTTP/1 app.
            return (body.len() >= at + 2).then(|| {
                assert_eq!(&body[at..at + 2], b"\r\n");
                at + 2
            });
        }

        assert_eq!(body.get(at..at + 2)?, b"\r\n");
        at += 2;
    }
}

/// Returns the paths that servers may derive from a target: decoded once, twice or not at all, cut
/// at `;`, with `\` as `/`, with merged slashes and resolved dots, in any combination.
fn readings(target: &str) -> Vec<String> {
    let path = target.split(['?', '#']).next().unwrap();
    let mut all = vec![path.to_owned()];
    for reading in [
        decode,
        decode,
        strip_parameters,
        replace_backslashes,
        merge_slashes,
        resolve_dots,
    ] {
        let more: Vec<String> = all.iter().map(|path| reading(path)).collect();
        all.extend(more);
        all.sort();
        all.dedup();
    }
    all
}

fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }

    String::from_utf8_lossy(&bytes).into_owned()
}

fn strip_parameters(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap());
    segments.collect::<Vec<_>>().join("/")
}

fn replace_backslashes(path: &str) -> String {
    path.replace('\\', "/")
}

fn merge_slashes(path: &str) -> String {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    format!("/{}", segments.join("/"))
}

fn resolve_dots(path: &str) -> String {
    let mut resolved: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(resolved.pop()),
            segment => resolved.push(segment),
        }
    }
    format!("/{}", resolved.join("/"))
}

fn pick<'a>(random: &mut Rng, choices: &[&'a str]) -> &'a str {
    choices[random.usize(..choices.len())]
}

/// Generates an attack, a valid request, or something between.
fn request(random: &mut Rng, case: usize) -> Vec<u8> {
    // Three of eight are valid, so that enough requests get through to be checked.
    let target: String = if random.u8(..8) < 3 {
        "/public/x".to_owned()
    } else {
        (0..random.usize(1..8))
            .map(|_| pick(random, PIECES))
            .collect()
    };

    // Two of eight end lines with a bare LF.
    let end = *[("\r\n"); 6].get(random.usize(..8)).unwrap_or(&"\n");
    let method = pick(random, METHODS);
    let version = pick(random, VERSIONS);
    let mut text = format!("{method} {target} {version}{end}");

    // One of sixteen has no `Host`.
    if random.u8(..16) > 0 {
        text += "Host: a.test";
        text += end;
    }

    text += &["X-Case: ", &case.to_string(), end].concat();
    for _ in 0..random.usize(..4) {
        text += pick(random, HEADERS);
        text += end;
    }

    text += end;
    for _ in 0..random.usize(..3) {
        text += pick(random, BODIES);
    }

    let mut bytes = text.into_bytes();
    for _ in 0..random.usize(..8).saturating_sub(5) {
        let at = random.usize(..bytes.len());
        // Line breaks and spaces are likelier than other bytes: they change the framing.
        bytes[at] = match random.u8(..4) {
            0 => random.u8(..),
            1 => b'\r',
            2 => b'\n',
            _ => b' ',
        };
    }

    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwarded_requests_are_public_in_every_interpretation() {
    let number = |name: &str, usual: u64| {
        let given = std::env::var(name).ok();
        given.map_or(usual, |text| text.parse().unwrap())
    };
    let (cases, seed) = (number("FUZZ_CASES", 3000), number("FUZZ_SEED", 6));
    let recorder = ByteRecorder::new().await;
    let harness = Harness::with(|config| {
        config.upstream = format!("http://{}", recorder.address);
        config.rules = serde_json::from_value(json!([
            {"path": "/public/**", "public": true},
            {"path": "/**", "scopes": ["admin"]},
        ]))
        .unwrap();
    })
    .await;

    let mut random = Rng::with_seed(seed);
    let mut sending = JoinSet::new();
    let address = harness.filter.address;

    for case in 0..cases as usize {
        let bytes = request(&mut random, case);
        sending.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(&bytes).await;
            let mut answer = [0; 4096];
            // A filter that waits for the rest of an incomplete request sends nothing.
            let still = Duration::from_millis(50);
            while let Ok(Ok(1..)) = timeout(still, stream.read(&mut answer)).await {}
        });

        if sending.len() >= 32 {
            sending.join_next().await.unwrap().unwrap();
        }
    }

    while let Some(sent) = sending.join_next().await {
        sent.unwrap();
    }

    let mut through = 0;
    for bytes in recorder.streams() {
        for request in requests(&bytes) {
            through += 1;
            let received = format!("seed {seed}: {request:?}");
            for reading in readings(&request.path) {
                let public = reading == "/public" || reading.starts_with("/public/");
                assert!(public, "{reading} of {received}");
            }

            let hosts = request.headers.iter().filter(|(name, _)| name == "host");
            assert_eq!(hosts.count(), 1, "{received}");
            assert!(
                request.method.bytes().all(|b| b.is_ascii_graphic()),
                "{received}"
            );

            for (name, value) in &request.headers {
                let plain = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
                assert!(!plain.starts_with("x-auth-"), "{received}");
                assert_ne!(plain, "authorization", "{received}");
                // An upgrade to WebSocket may be requested; the app decides about it.
                assert!(plain != "upgrade" || value == "websocket", "{received}");
                assert!(!value.contains(['\r', '\n', '\0']), "{received}");
            }
        }
    }

    // The test proves nothing if no request gets through.
    assert!(through as u64 > cases / 20, "{through} of {cases}");
}

const METHODS: &[&str] = &[
    "GET", "GET", "GET", "POST", "POST", "OPTIONS", "CONNECT", "get", "PURGE", "GET\t", "\u{0}GET",
];

const VERSIONS: &[&str] = &[
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "http/1.1",
    "",
    "HTTP/1.1 x",
];

const PIECES: &[&str] = &[
    "/public",
    "/public",
    "/public/x",
    "/admin",
    "/",
    "//",
    "/..",
    "/.",
    "..",
    ".",
    "/%2e%2e",
    "/%252e%252e",
    "%2f",
    "%2F",
    "%5c",
    "\\",
    "/..;",
    ";",
    ";a=b",
    "%3b",
    "?",
    "?x=/admin",
    "#",
    "%23",
    "%3f",
    "%00",
    "%0d%0a",
    "%",
    "%zz",
    "%c0%ae",
    "%e0%80%ae",
    "%ef%bc%8f",
    "%u002e",
    "http://a.test",
    "http://b.test/admin",
    "admin",
    "*",
    "\u{e9}",
    "@",
    "a.test:80",
    "/x",
    "/caf%c3%a9",
    "/a:b",
    "&",
    "=",
];

const HEADERS: &[&str] = &[
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: 40",
    "Content-Length: +5",
    "Content-Length: 5, 5",
    "Content-Length : 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding: x\r\n chunked",
    "Connection: close",
    "Connection: keep-alive, host, x-case",
    "Connection: upgrade, content-length",
    "Connection: transfer-encoding",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "Expect: 100-continue",
    "Host: b.test",
    "Host: a.test",
    "Host : a.test",
    "X-Auth-Subject: root",
    "X_Auth_Subject: root",
    "X.Auth.Scopes: admin",
    "x-auth-scopes: admin",
    "X-Original-URL: /admin",
    "Authorization: Bearer a.b.c",
    "Authorization: Basic YTpi",
    "TE: trailers",
    "Trailer: x-auth-subject",
    " folded: x",
    "no colon",
    ": empty",
    "X\u{0}: y",
    "X-Bad: a\u{0}b",
    "X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const BODIES: &[&str] = &[
    "GET /admin/x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET /public/y HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "0\r\nX-Auth-Subject: root\r\n\r\n",
    "5;ext=\"a\r\nb\"\r\nhello\r\n0\r\n\r\n",
    "5\nhello\n0\n\n",
    "05\r\nhello\r\n00\r\n\r\n",
    "ffffffffffffffff1\r\n",
    "-1\r\n",
    "hello",
    "\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];
