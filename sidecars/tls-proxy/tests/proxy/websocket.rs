//! WebSockets over HTTP/2 (RFC 8441).

use ::http::{Method, StatusCode};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{body::Incoming, client::conn::http2::SendRequest, ext::Protocol};
use hyper_util::rt::TokioIo;
use tokio::{io::BufReader, sync::mpsc};

use super::*;

/// A next hop for WebSockets.
struct App {
    address: SocketAddr,
    /// The header sections it received.
    heads: mpsc::UnboundedReceiver<String>,
    /// Resolves once per tunnel that has ended.
    ended: Arc<Semaphore>,
}

/// How the next hop answers a request for a WebSocket.
#[derive(Clone, Copy)]
enum Answer {
    Echo,
    Fixed(&'static str),
}

async fn app(answer: Answer) -> App {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = mpsc::unbounded_channel();
    let ended = Arc::new(Semaphore::new(0));
    let signal = Arc::clone(&ended);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (sender, signal) = (sender.clone(), Arc::clone(&signal));
            tokio::spawn(async move {
                serve_one(stream, answer, &sender).await;
                signal.add_permits(1);
            });
        }
    });
    App {
        address,
        heads,
        ended,
    }
}

async fn serve_one(stream: TcpStream, answer: Answer, heads: &mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = tokio::io::AsyncBufReadExt::read_line(&mut stream, &mut head).await;
        if read.unwrap_or(0) == 0 {
            return;
        }
    }
    let _ = heads.send(head.clone());

    let Some((_, key)) = head.split_once("sec-websocket-key: ") else {
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        return;
    };
    let key = key.split_once("\r\n").unwrap().0;
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    let accept = BASE64_STANDARD.encode(sum.as_ref());
    let echo = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    match answer {
        Answer::Fixed(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Answer::Echo => {
            stream.write_all(echo.as_bytes()).await.unwrap();
            let (mut from, mut to) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut from, &mut to).await;
        }
    }
}

/// Opens a connection, on which the server's settings have arrived.
async fn open(proxy: &support::RunningProxy) -> SendRequest<chassis::http::Body> {
    let mut client = h2(proxy).await;
    let request = ::http::Request::get("https://localhost/")
        .body(empty())
        .unwrap();
    within(client.send_request(request)).await.unwrap();
    client
}

async fn connect_with(
    client: &mut SendRequest<chassis::http::Body>,
    protocol: &'static str,
) -> hyper::Result<::http::Response<Incoming>> {
    let mut request = ::http::Request::builder()
        .method(Method::CONNECT)
        .uri("https://localhost/chat?room=1")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "chosen-by-client")
        .body(empty())
        .unwrap();
    let protocol = Protocol::from_static(protocol);
    request.extensions_mut().insert(protocol);
    within(client.send_request(request)).await
}

#[tokio::test]
async fn forwards_websockets_over_http2_as_an_upgrade() {
    let mut app = app(Answer::Echo).await;
    let proxy = proxy(app.address, |config| config.websocket_over_http2 = true).await;
    let mut client = open(&proxy).await;
    within(app.heads.recv()).await.unwrap();
    within(app.ended.acquire()).await.unwrap().forget();

    let response = connect_with(&mut client, "websocket").await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let head = within(app.heads.recv()).await.unwrap();
    assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        "host: localhost\r\n",
        "connection: upgrade\r\n",
        "upgrade: websocket\r\n",
        "sec-websocket-version: 13\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
    ] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    assert!(!head.contains("chosen-by-client"), "{head}");

    let mut tunnel = TokioIo::new(within(hyper::upgrade::on(response)).await.unwrap());
    let sent = vec![7; 300_000];
    let mut echoed = vec![0; sent.len()];
    let (mut from, mut to) = tokio::io::split(&mut tunnel);
    let both = async { tokio::join!(to.write_all(&sent), from.read_exact(&mut echoed)) };
    let (written, read) = within(both).await;
    written.unwrap();
    read.unwrap();
    assert!(echoed == sent);

    // The connection serves other requests beside the tunnel, and the app learns of its end.
    let request = ::http::Request::get("https://localhost/")
        .body(empty())
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    within(app.ended.acquire()).await.unwrap().forget();
    drop(tunnel);
    within(app.ended.acquire()).await.unwrap().forget();
}

#[tokio::test]
async fn a_websocket_that_the_app_does_not_accept_is_an_error() {
    let wrong_key = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: AAAA\r\n\r\n";
    let no_upgrade = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let forbidden = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    for (answer, expected) in [
        (wrong_key, StatusCode::BAD_GATEWAY),
        (no_upgrade, StatusCode::BAD_GATEWAY),
        (forbidden, StatusCode::FORBIDDEN),
    ] {
        let app = app(Answer::Fixed(answer)).await;
        let proxy = proxy(app.address, |config| config.websocket_over_http2 = true).await;
        let mut client = open(&proxy).await;
        let response = connect_with(&mut client, "websocket").await.unwrap();
        assert_eq!(response.status(), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_websocket_over_http2_ends_after_the_stall_timeout() {
    let app = app(Answer::Echo).await;
    let proxy = proxy(app.address, |config| {
        config.websocket_over_http2 = true;
        config.limits.stall_timeout = HumanDuration::from_millis(300);
    })
    .await;
    let mut client = open(&proxy).await;
    within(app.ended.acquire()).await.unwrap().forget();
    let response = connect_with(&mut client, "websocket").await.unwrap();
    let mut tunnel = TokioIo::new(within(hyper::upgrade::on(response)).await.unwrap());
    let mut byte = [0];
    let read = within(tunnel.read(&mut byte)).await;
    assert!(!matches!(read, Ok(1)));
    within(app.ended.acquire()).await.unwrap().forget();
}

#[tokio::test]
async fn accepts_no_other_protocol_and_none_by_default() {
    let app = app(Answer::Echo).await;
    let accepting = proxy(app.address, |config| config.websocket_over_http2 = true).await;
    let mut client = open(&accepting).await;
    let response = connect_with(&mut client, "connect-udp").await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);

    let refusing = proxy(app.address, |_| {}).await;
    let mut client = open(&refusing).await;
    let response = connect_with(&mut client, "websocket").await;
    assert!(response.is_err());
}
