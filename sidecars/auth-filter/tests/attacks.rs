//! Requests that try to be authorized as one thing and served as another. None may reach the app as
//! anything but what was authorized.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use serde_json::json;
use support::harness::Harness;
use support::upstream::RecordedRequest;

/// A public path and one that requires a scope.
async fn public_and_admin() -> Harness {
    Harness::with_rules(json!([
        {"path": "/public/**", "public": true},
        {"path": "/admin/**", "scopes": ["admin"]},
    ]))
    .await
}

#[tokio::test]
async fn rejects_ambiguous_paths() {
    let harness = public_and_admin().await;
    for path in [
        "/public/../admin",
        "/public/./../admin",
        "/public/..",
        // The dots escaped, once and several times.
        "/public/%2e%2e/admin",
        "/public/%2E%2E/admin",
        "/public/.%2e/admin",
        "/public/%2e./admin",
        "/public/%252e%252e/admin",
        "/public/%25252e%25252e/admin",
        // The separators escaped or replaced by backslashes.
        "/public/..%2fadmin",
        "/public/..%2Fadmin",
        "/public%2f..%2fadmin",
        "/public/..%5cadmin",
        "/public/..%5Cadmin",
        "/public/..\\admin",
        "/public\\..\\admin",
        // Path parameters, which Tomcat and others remove before resolving dots.
        "/public/..;/admin",
        "/public/..;a=b/admin",
        "/public/..%3b/admin",
        "/public;/../admin",
        // Overlong UTF-8, fullwidth dots and IIS escapes.
        "/public/%c0%ae%c0%ae/admin",
        "/public/%c0%af../admin",
        "/public/%e0%80%ae%e0%80%ae/admin",
        "/public/%ef%bc%8e%ef%bc%8e/admin",
        "/public/%u002e%u002e/admin",
        // Control bytes, which C string functions and log parsers stop at.
        "/public/%00/../admin",
        "/public/%00",
        "/public/%0d%0aX-Auth-Subject:%20root",
        // Empty segments, which some servers merge.
        "/public//../admin",
        "//public/x",
        "//admin",
        "/public//admin",
        // Incomplete escapes, and delimiters of query and fragment.
        "/public/%",
        "/public/%zz",
        "/public/%3f/../admin",
        "/public/%23/../admin",
        "/public?\u{7f}",
        "*",
        "public/x",
        "",
    ] {
        let answer = harness
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        assert_eq!(answer.status(), 400, "{path}");
        assert!(harness.upstream.take().is_empty(), "{path}");
    }
}

#[tokio::test]
async fn forwards_the_authorized_target_byte_for_byte() {
    let harness = public_and_admin().await;
    for path in [
        "/public/",
        "/public/x?y=../../admin&z=%2f%2e%2e",
        "/public/%61dmin",
        "/public/caf%C3%A9/%20",
        "/public/a:b@c,d=e+f",
        "/public/.hidden/a..b",
        "/public?",
    ] {
        let answer = harness
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        assert_eq!(answer.status(), 200, "{path}");
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };
        assert_eq!(received.line, format!("GET {path} HTTP/1.1"));
    }

    // The HTTP parser drops a fragment before authorization; only the rest may be forwarded.
    harness
        .send("GET /public/#/../admin HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;

    let lines: Vec<_> = harness
        .upstream
        .take()
        .into_iter()
        .map(|received| received.line)
        .collect();

    assert!(
        lines.is_empty() || lines == ["GET /public/ HTTP/1.1"],
        "{lines:?}"
    );
}

#[tokio::test]
async fn headers_do_not_make_a_protected_path_public() {
    let harness = public_and_admin().await;
    for header in [
        // Headers that make frameworks serve another path.
        "X-Original-URL: /public/x",
        "X-Rewrite-URL: /public/x",
        "X-Forwarded-Uri: /public/x",
        "X-Forwarded-Prefix: /public",
        "X-Envoy-Original-Path: /public/x",
        "X-HTTP-Method-Override: OPTIONS",
        // Health checkers that other proxies exempted from authentication.
        "User-Agent: GoogleHC/1.0",
        "User-Agent: ELB-HealthChecker/2.0",
        // Identity headers of this filter and of load balancers.
        "X-Auth-Subject: root",
        "X-Amzn-Oidc-Data: a.b.c",
        "X-Forwarded-For: 127.0.0.1",
        "Connection: authorization",
    ] {
        let request = format!("GET /admin/x HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n");
        assert_eq!(harness.send(&request).await.status(), 401, "{header}");
    }

    assert!(harness.upstream.take().is_empty());
}

#[tokio::test]
async fn strips_routing_headers_on_public_paths() {
    let harness = public_and_admin().await;
    for name in [
        "X-Original-URL",
        "x_original_url",
        "X.Original.Url",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Prefix",
        "X-HTTP-Method-Override",
        "X-Auth-Subject",
        "X-AUTH-SUBJECT",
        "x_auth_subject",
        "x.auth.subject",
        "X-Auth_Subject",
    ] {
        let request = format!("GET /public/x HTTP/1.1\r\nHost: a\r\n{name}: /admin\r\n\r\n");
        assert_eq!(harness.send(&request).await.status(), 200, "{name}");
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };
        assert!(received.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn connection_header_cannot_remove_the_identity() {
    let harness = Harness::new().await;
    let token = harness.token("admin");
    for named in [
        "close, x-auth-subject, x-auth-scopes",
        "X-Auth-Subject",
        "x-auth-subject, host",
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: {named}\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );

        assert_eq!(harness.send(request).await.status(), 200, "{named}");
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };

        assert_eq!(received.header("x-auth-subject"), ["ada"], "{named}");
        assert_eq!(received.header("host"), ["a"], "{named}");
    }
}

#[tokio::test]
async fn drops_identity_headers_in_trailers() {
    let harness = public_and_admin().await;
    // RFC 9110 6.5.1: trailers must not carry fields for authentication, but a careless app may
    // merge them.
    let request = "POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
                   Trailer: X-Auth-Subject\r\nTE: trailers\r\n\r\n\
                   5\r\nphoto\r\n0\r\nX-Auth-Subject: root\r\n\r\n";
    assert_eq!(harness.send(request).await.status(), 200);
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };
    assert_eq!(received.body, b"photo");
    assert!(received.header("x-auth-subject").is_empty());
}

#[tokio::test]
async fn requires_exactly_one_host() {
    let harness = public_and_admin().await;
    for (target, hosts) in [
        // HTTP/1.1 requires exactly one `Host` (RFC 9112 3.2); duplicates must not even be equal.
        ("/public/x", ""),
        ("/public/x", "Host: a\r\nHost: a\r\n"),
        ("/public/x", "Host: a\r\nHost: b\r\n"),
        ("/public/x", "Host: a b\r\n"),
        ("/public/x", "Host: \r\n"),
        ("/public/x", "Host: a/../b\r\n"),
        ("/public/x", "Host: u@a\r\n"),
        ("http://b/public/x", "Host: a\r\n"),
        ("http://a@b/public/x", "Host: b\r\n"),
        ("http://a/public/../admin", "Host: a\r\n"),
    ] {
        let answer = harness
            .send(format!("GET {target} HTTP/1.1\r\n{hosts}\r\n"))
            .await;
        assert_eq!(answer.status(), 400, "{target} {hosts}");
    }

    assert!(harness.upstream.take().is_empty());
    // The same host in both places is valid, and the target is forwarded in origin form.
    let answer = harness
        .send("GET http://a/public/x HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;

    assert_eq!(answer.status(), 200);
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };
    assert_eq!(received.line, "GET /public/x HTTP/1.1");
}

#[tokio::test]
async fn rejects_tunnels_and_unauthorized_upgrades() {
    let harness = public_and_admin().await;
    let answer = harness
        .send_raw("CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n")
        .await;

    assert_eq!(answer.status(), 400);
    let upgrade =
        "GET /admin/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(harness.send_raw(upgrade).await.status(), 401);

    // An upgrade to h2c would let later requests bypass the filter.
    let h2c = "GET /public/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
               Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert_eq!(harness.send_raw(h2c).await.status(), 200);
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };

    for name in ["upgrade", "http2-settings", "connection"] {
        assert!(received.header(name).is_empty(), "{name}");
    }
}

/// A second request, hidden in the body of the first.
const HIDDEN: &str = "GET /admin/x HTTP/1.1\r\nHost: a\r\n\r\n";

fn frame_request(headers: &str, body: &str) -> String {
    format!("POST /public/x HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn rejects_request_smuggling() {
    let harness = public_and_admin().await;
    // A proxy and an app that frame a body differently disagree where the second request begins.
    let length = HIDDEN.len();
    let chunked = format!("{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let (te, cl) = (
        "Transfer-Encoding: chunked\r\n",
        format!("Content-Length: {length}\r\n"),
    );

    for (case, request) in [
        (
            // Both framings at once (RFC 9112 6.3).
            "length and chunked",
            frame_request(&format!("{cl}{te}"), &chunked),
        ),
        (
            "chunked and length",
            frame_request(&format!("{te}{cl}"), &chunked),
        ),
        (
            "length 0 and chunked",
            frame_request(&format!("Content-Length: 0\r\n{te}"), &chunked),
        ),
        (
            "short length, chunked end first",
            frame_request(
                &format!("Content-Length: 5\r\n{te}"),
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
        ),
        (
            "two lengths",
            frame_request(&format!("Content-Length: 0\r\n{cl}"), HIDDEN),
        ),
        (
            "two lengths in one",
            frame_request(&format!("Content-Length: 0, {length}\r\n"), HIDDEN),
        ),
        (
            "length with a sign",
            frame_request(&format!("Content-Length: +{length}\r\n"), HIDDEN),
        ),
        (
            "negative length",
            frame_request("Content-Length: -1\r\n", HIDDEN),
        ),
        (
            "hexadecimal length",
            frame_request(&format!("Content-Length: 0x{length:x}\r\n"), HIDDEN),
        ),
        (
            "huge length",
            frame_request("Content-Length: 99999999999999999999\r\n", HIDDEN),
        ),
        (
            // Codings that are similar to `chunked`, or not last.
            "xchunked",
            frame_request("Transfer-Encoding: xchunked\r\n", &chunked),
        ),
        (
            "chunked, identity",
            frame_request("Transfer-Encoding: chunked, identity\r\n", &chunked),
        ),
        (
            "identity",
            frame_request(&format!("Transfer-Encoding: identity\r\n{cl}"), HIDDEN),
        ),
        (
            "space before the colon",
            frame_request(&format!("Transfer-Encoding : chunked\r\n{cl}"), &chunked),
        ),
        (
            "vertical tab",
            frame_request(&format!("Transfer-Encoding:\u{b}chunked\r\n{cl}"), &chunked),
        ),
        (
            "folded",
            frame_request(
                &format!("X: y\r\n Transfer-Encoding: chunked\r\n{cl}"),
                &chunked,
            ),
        ),
        (
            // Chunk sizes that parsers read differently.
            "NUL in the size",
            frame_request(te, &format!("{length:x}\0\r\n{HIDDEN}\r\n0\r\n\r\n")),
        ),
        (
            "size with 0x",
            frame_request(te, &format!("0x{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n")),
        ),
        (
            "negative size",
            frame_request(te, &format!("-1\r\n{HIDDEN}")),
        ),
        (
            "overflowing size",
            frame_request(te, &format!("10000000000000000\r\n{HIDDEN}")),
        ),
        (
            "size without end",
            frame_request(te, &format!("{length:x};x=\n{HIDDEN}\r\n0\r\n\r\n")),
        ),
        (
            // Line endings that some parsers accept as the end of a header.
            "bare CR",
            frame_request("X: a\rTransfer-Encoding: chunked\r\n", &chunked),
        ),
        (
            "LF in a value",
            frame_request("X: a\nContent-Length: 0\r\n", ""),
        ),
        (
            "name with a space",
            frame_request(&format!("Content-Length : {length}\r\n"), HIDDEN),
        ),
        (
            "HTTP/1.0 chunked",
            frame_request(te, &chunked)
                .replace("HTTP/1.1\r\nHost: a\r\nT", "HTTP/1.0\r\nHost: a\r\nT"),
        ),
        (
            // Removing the framing as a hop-by-hop header would reframe the body.
            "connection: content-length",
            frame_request(&format!("Connection: content-length\r\n{cl}"), HIDDEN),
        ),
        (
            "connection: transfer-encoding",
            frame_request(&format!("Connection: transfer-encoding\r\n{te}"), &chunked),
        ),
        (
            "GET with a body",
            frame_request(&cl, HIDDEN).replace("POST", "GET"),
        ),
    ] {
        harness.send_raw(request).await;
        let received = harness.upstream.take();
        assert!(received.len() <= 1, "{case}: {received:?}");
        assert!(
            received.iter().all(is_first_request),
            "{case}: {received:?}"
        );
    }

    // The same body with valid framing arrives complete.
    for honest in [frame_request(&cl, HIDDEN), frame_request(te, &chunked)] {
        assert_eq!(harness.send(honest).await.status(), 200);
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };
        assert_eq!(received.body, HIDDEN.as_bytes());
    }
}

fn is_first_request(received: &RecordedRequest) -> bool {
    let one_length =
        received.header("content-length").len() + received.header("transfer-encoding").len();
    received.line.ends_with(" /public/x HTTP/1.1") && one_length <= 1
}

/// Builds an HTTP/2 frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Builds a request without a body from literal fields, so that it can contain anything.
fn over_http2(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal field without indexing and with a literal name (RFC 7541 6.2.2).
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }

    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // Flags 5: END_STREAM and END_HEADERS.
    [preface, frame(4, 0, 0, &[]), frame(1, 5, 1, &block)].concat()
}

#[tokio::test]
async fn rejects_http2_requests_invalid_in_http1() {
    let harness = public_and_admin().await;
    let request = |change: &[(&'static str, &'static str)]| {
        let mut fields = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a.test"),
            (":path", "/public/x"),
        ];

        for (name, value) in change {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => field.1 = value,
                None => fields.push((name, value)),
            }
        }
        over_http2(&fields)
    };

    harness.send_raw(request(&[])).await;
    let [received] = &harness.upstream.take()[..] else {
        panic!("an ordinary request does not arrive")
    };

    assert_eq!(received.line, "GET /public/x HTTP/1.1");
    for change in [
        // Paths that are not in origin form, or that contain HTTP/1 syntax.
        &[(":path", "public/x")][..],
        &[(":path", "")],
        &[(":path", "*")],
        &[(":path", "/public/../admin/x")],
        &[(":path", "/public/x HTTP/1.1\r\nx-auth-subject: root\r\nx:")],
        &[(":path", "/public/x\r\n\r\nGET /admin/x HTTP/1.1")],
        &[(":path", "/public/x y")],
        &[(":path", "http://a.test/admin/x")],
        // Methods that would start another request line.
        &[(":method", "GET /admin/x HTTP/1.1\r\nx:")],
        &[(":method", "")],
        &[(":method", "CONNECT")],
        // Authorities that contain HTTP/1 syntax or a path.
        &[(":authority", "a.test\r\nx-auth-subject: root")],
        &[(":authority", "a.test/admin/x?")],
        &[(":authority", "u@a.test")],
        &[(":authority", "")],
        &[("host", "b.test")],
        // Field values and names that are invalid in HTTP/1.
        &[("x", "a\r\nx-auth-subject: root")],
        &[("x", "a\nb")],
        &[("x", "a\0b")],
        &[("X-Upper", "a")],
        &[("x: y\r\nx-auth-subject", "root")],
        &[("x ", "a")],
        &[("", "a")],
        // Connection-specific fields (RFC 9113 8.2.2), a wrong length and an unknown pseudo-header.
        &[("transfer-encoding", "chunked")],
        &[("connection", "x-auth-subject")],
        &[("upgrade", "h2c")],
        &[("content-length", "5")],
        &[(":unknown", "a")],
    ] {
        harness.send_raw(request(change)).await;
        let received = harness.upstream.take();
        assert!(received.is_empty(), "{change:?}: {received:?}");
    }

    // A duplicated pseudo-header is malformed (RFC 9113 8.3).
    let duplicated = over_http2(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/public/x"),
        (":path", "/admin/x"),
    ]);

    harness.send_raw(duplicated).await;
    assert!(harness.upstream.take().is_empty(), "two paths");
}

/// Every row of the table in the documentation names a test that exists.
#[tokio::test]
async fn a_websocket_request_with_a_body_is_refused() {
    let harness = Harness::new().await;
    let token = harness.token("");
    let hidden = "GET /hidden HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let upgrade = format!(
        "GET / HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    assert_eq!(harness.send_raw(upgrade).await.status(), 400);
    assert_eq!(harness.get("/next", &token).await.status(), 200);

    // Neither the request nor the one in its body arrived, also not before the next one.
    let received = harness.upstream.take();
    let lines: Vec<&str> = received
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(lines, ["GET /next HTTP/1.1"]);
}

#[test]
fn attack_table_lists_existing_tests() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../../docs/auth-filter.md")).unwrap();
    let table = page.split("| attack | known from | test |").nth(1).unwrap();
    let mut tests = String::new();

    for file in [
        "attacks",
        "browsers",
        "credentials",
        "differential",
        "external",
        "filter",
        "introspection",
        "jws",
        "keys",
        "passing",
        "tokens",
    ] {
        tests += &std::fs::read_to_string(here.join(format!("tests/{file}.rs"))).unwrap();
    }

    let rows: Vec<&str> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();

    assert!(rows.len() >= 18, "{}", rows.len());
    // A row may name several tests; each must exist.
    for row in rows {
        let named: Vec<&str> = row
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|w| w.contains('_') && w.contains("::"))
            .collect();

        assert!(!named.is_empty(), "no test: {row}");
        for test in named {
            let name = test.rsplit("::").next().unwrap();
            assert!(tests.contains(&format!("fn {name}(")), "{test}: {row}");
        }
    }
}
