//! What browsers need: tokens outside of `Authorization`, preflights, and readable rejections.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::Config;
use serde_json::{Value, json};
use support::harness::Harness;
use support::upstream::RecordedRequest;

fn configure(config: &mut Config, settings: Value) {
    let mut written = serde_json::to_value(&*config).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        written[name] = value.clone();
    }
    *config = serde_json::from_value(written).unwrap();
}

async fn harness(settings: Value) -> Harness {
    Harness::with(|config| configure(config, settings)).await
}

/// Sends a GET with these header lines and returns the status and the request that reached the app.
async fn get(harness: &Harness, path: &str, headers: &str) -> (u16, Option<RecordedRequest>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{headers}\r\n");
    let answer = harness.send(request).await;
    let mut received = harness.upstream.take();
    assert!(received.len() < 2);
    (answer.status(), received.pop())
}

#[tokio::test]
async fn takes_tokens_from_the_named_cookie_and_removes_it() {
    let settings = json!({"token_sources": {"cookie": "session"},
        "cors": {"origins": ["https://web.test"]}});
    let harness = harness(settings).await;
    let token = harness.token("");

    let line = format!("Cookie: a=1; session={token}; b=2\r\n");
    let (status, received) = get(&harness, "/", &line).await;
    assert_eq!(status, 200);
    let received = received.unwrap();
    assert_eq!(received.header("cookie"), ["a=1; b=2"]);
    assert_eq!(received.header("x-auth-subject"), ["ada"]);

    let own = format!("{line}Origin: https://app.test\r\n");
    assert_eq!(get(&harness, "/", &own).await.0, 200);
    let listed = format!("{line}Origin: https://web.test\r\n");
    assert_eq!(get(&harness, "/", &listed).await.0, 200);

    for (lines, status) in [
        // A cookie that was planted beside the real one, in one line or in two.
        (format!("Cookie: session={token}; session={token}\r\n"), 400),
        (format!("{line}Cookie: session=x\r\n"), 400),
        // Two places: the filter and the app could take different tokens.
        (format!("{line}Authorization: Bearer {token}\r\n"), 400),
        (format!("Cookie: session=\"{token}\"\r\n"), 400),
        // Other names, and a cookie that was deleted.
        (format!("Cookie: Session={token}\r\n"), 401),
        (format!("Cookie: xsession={token}\r\n"), 401),
        ("Cookie: session=\r\n".to_owned(), 401),
        // Pages of others: browsers send the cookie with their requests too.
        (format!("{line}Origin: https://evil.test\r\n"), 403),
        (format!("{line}Origin: https://app.test.evil.test\r\n"), 403),
        (format!("{line}Origin: null\r\n"), 403),
        (
            format!("{line}Origin: https://app.test\r\nOrigin: https://evil.test\r\n"),
            403,
        ),
    ] {
        assert_eq!(get(&harness, "/", &lines).await, (status, None), "{lines}");
    }
}

#[tokio::test]
async fn a_token_in_a_cookie_does_not_vouch_for_the_authorization_header() {
    let settings = json!({"token_sources": {"cookie": "session"}, "forward_authorization": true});
    let harness = harness(settings).await;
    let token = harness.token("");
    let line = format!("Cookie: session={token}\r\nAuthorization: Basic cm9vdDo=\r\n");
    let (status, received) = get(&harness, "/", &line).await;
    assert_eq!(status, 200);
    assert!(received.unwrap().header("authorization").is_empty());
}

#[tokio::test]
async fn a_dry_run_leaves_tokens_where_the_app_verifies_them() {
    let settings = json!({"token_sources": {"cookie": "session", "query": "t"}, "enforce": false});
    let harness = harness(settings).await;
    let (status, received) = get(&harness, "/?t=x", "Cookie: session=y\r\n").await;
    assert_eq!(status, 200);
    let received = received.unwrap();
    assert_eq!(received.line, "GET /?t=x HTTP/1.1");
    assert_eq!(received.header("cookie"), ["session=y"]);
}

#[tokio::test]
async fn takes_tokens_from_the_named_parameter_and_removes_it() {
    let settings = json!({"token_sources": {"query": "access_token"},
        "rules": [{"path": "/open", "public": true}, {"path": "/**"}]});
    let harness = harness(settings).await;
    let token = harness.token("");

    let target = format!("/v1?x=%20&access_token={token}&y");
    let (status, received) = get(&harness, &target, "").await;
    assert_eq!(status, 200);
    assert_eq!(received.unwrap().line, "GET /v1?x=%20&y HTTP/1.1");
    // On public paths too, and under an escaped name: the app would decode it.
    let (status, received) = get(&harness, "/open?access%5Ftoken=x", "").await;
    assert_eq!(status, 200);
    assert_eq!(received.unwrap().line, "GET /open HTTP/1.1");

    for (target, status) in [
        (format!("/?access_token={token}&access_token={token}"), 400),
        (format!("/?access_token={token}&%61ccess_token=x"), 400),
        ("/?access_token=".to_owned(), 400),
        ("/?access_token=%0d%0ax".to_owned(), 400),
        (format!("/?Access_token={token}"), 401),
        (format!("/?x;access_token={token}"), 401),
        ("/?access_token=a.b.c".to_owned(), 401),
    ] {
        assert_eq!(get(&harness, &target, "").await, (status, None), "{target}");
    }
}

#[tokio::test]
async fn takes_tokens_from_the_websocket_protocol_and_removes_it() {
    let harness = harness(json!({"token_sources": {"websocket_protocol": "token."}})).await;
    let token = harness.token("");
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let get = async |lines: String| {
        let request = format!("GET /ws HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n");
        let answer = harness.send_raw(request).await;
        (answer.status(), harness.upstream.take().pop())
    };

    let (status, received) = get(format!(
        "{upgrade}Sec-WebSocket-Protocol: chat, token.{token}\r\n"
    ))
    .await;
    // The app of this test does not upgrade, and answers the request.
    assert_ne!(status, 401);
    let received = received.unwrap();
    assert_eq!(received.header("sec-websocket-protocol"), ["chat"]);
    assert_eq!(received.header("x-auth-subject"), ["ada"]);

    let twice = format!("token.{token}, token.{token}");
    let lines = format!("{upgrade}Sec-WebSocket-Protocol: {twice}\r\n");
    assert_eq!(get(lines).await, (400, None));
    let lines = format!("{upgrade}Sec-WebSocket-Protocol: chat, token.x\r\n");
    assert_eq!(get(lines).await, (401, None));
    // Not a WebSocket: the header means nothing.
    let lines = format!("Sec-WebSocket-Protocol: token.{token}\r\n");
    assert_eq!(get(lines).await, (401, None));
}

#[tokio::test]
async fn forwards_preflights_of_accepted_origins_only() {
    let settings = json!({"cors": {"origins": ["https://web.test"], "forward_preflights": true},
        "rules": [{"path": "/v1/**", "scopes": ["coins.read"]}]});
    let harness = harness(settings).await;
    let options = async |lines: &str| {
        let request = format!("OPTIONS /v1/coins HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n");
        let status = harness.send(request).await.status();
        (status, harness.upstream.take().pop())
    };
    let origin = "Origin: https://web.test\r\n";
    let method = "Access-Control-Request-Method: POST\r\n";

    let with_identity =
        format!("{origin}{method}X-Auth-Subject: root\r\nAuthorization: Bearer x\r\n");
    let (status, received) = options(&with_identity).await;
    assert_eq!(status, 200);
    let received = received.unwrap();
    assert_eq!(received.header("origin"), ["https://web.test"]);
    assert!(received.header("x-auth-subject").is_empty());
    assert!(received.header("authorization").is_empty());

    for lines in [
        origin.to_owned(),
        method.to_owned(),
        format!("Origin: https://evil.test\r\n{method}"),
        format!("{origin}{origin}{method}"),
        format!("{origin}{method}{method}"),
        format!("{origin}{method}Content-Length: 1\r\n\r\nx"),
    ] {
        assert_eq!(options(&lines).await, (401, None), "{lines}");
    }

    // A body without a length is dropped.
    let chunked = format!("{origin}{method}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n");
    let (_, received) = options(&chunked).await;
    assert!(received.is_none_or(|received| received.body.is_empty()));

    let request = format!("GET /v1/coins HTTP/1.1\r\nHost: app.test\r\n{origin}{method}\r\n");
    assert_eq!(harness.send(request).await.status(), 401);
    let request = format!("OPTIONS /v1/../x HTTP/1.1\r\nHost: app.test\r\n{origin}{method}\r\n");
    assert_eq!(harness.send(request).await.status(), 400);
    assert!(harness.upstream.take().is_empty());
}

#[tokio::test]
async fn accepted_origins_can_read_rejections() {
    let settings = json!({"cors": {"origins": ["https://web.test"], "credentials": true}});
    let harness = harness(settings).await;
    let ask = async |lines: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n");
        harness.send(request).await
    };

    let answer = ask("Origin: https://web.test\r\n").await;
    assert_eq!(answer.status(), 401);
    let allowed = |answer: &support::harness::RawResponse| {
        let header = answer.header("access-control-allow-origin");
        header.map(str::to_owned)
    };
    assert_eq!(allowed(&answer).as_deref(), Some("https://web.test"));
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(answer.header("vary"), Some("origin"));

    for lines in [
        "",
        "Origin: https://evil.test\r\n",
        "Origin: null\r\n",
        "Origin: https://web.test.evil.test\r\n",
    ] {
        let answer = ask(lines).await;
        assert_eq!(allowed(&answer), None, "{lines}");
        assert_eq!(answer.header("vary"), Some("origin"), "{lines}");
    }
}

#[tokio::test]
async fn everything_for_browsers_is_off_by_default() {
    let harness = harness(json!({})).await;
    let token = harness.token("");
    for (path, lines) in [
        (format!("/?access_token={token}"), String::new()),
        ("/".to_owned(), format!("Cookie: session={token}\r\n")),
    ] {
        assert_eq!(get(&harness, &path, &lines).await, (401, None));
    }

    let preflight = "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: https://web.test\r\n\
                     Access-Control-Request-Method: GET\r\n\r\n";
    let answer = harness.send(preflight).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.header("vary"), None);
    assert!(harness.upstream.take().is_empty());
}
