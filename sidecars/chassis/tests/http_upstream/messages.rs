//! Parts of messages that a proxy must not lose: trailers, forms of the target, transfer codings.

use super::*;

/// Starts a next hop that answers with the request line of each request.
async fn request_lines() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut raw = Raw(listener.accept().await.unwrap().0);
            let line = raw.read_until("\r\n").await;
            raw.read_until("\r\n\r\n").await;
            let length = line.trim_end().len();
            let line = line.trim_end();
            raw.send(&format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{line}"
            ))
            .await;
        }
    });
    address
}

#[tokio::test]
async fn forwards_the_target_without_losing_a_part() {
    let proxy = proxy(request_lines().await).await;
    for (sent, received) in [
        ("GET http://a?x=1", "GET /?x=1"),
        ("GET http://a", "GET /"),
        ("GET http://a/b?c", "GET /b?c"),
        ("OPTIONS *", "OPTIONS *"),
    ] {
        let response = ask(proxy.address, &format!("{sent} HTTP/1.1")).await;
        assert!(
            response.ends_with(&format!("\r\n{received} HTTP/1.1")),
            "{sent}: {response}"
        );
    }
}

#[tokio::test]
async fn forwards_the_trailers_of_a_response() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut raw = Raw(listener.accept().await.unwrap().0);
        raw.read_until("\r\n\r\n").await;
        let head = "HTTP/1.1 200 OK\r\ntrailer: x-checksum\r\ntransfer-encoding: chunked\r\n\r\n";
        raw.send(&format!("{head}2\r\nok\r\n0\r\nx-checksum: 7\r\n\r\n"))
            .await;
        raw.read_to_end().await;
    });

    let proxy = proxy(target).await;
    let response = ask(proxy.address, "GET / HTTP/1.1\r\nte: trailers").await;
    assert!(
        response.ends_with("0\r\nx-checksum: 7\r\n\r\n"),
        "{response}"
    );
}

#[tokio::test]
async fn refuses_a_body_with_another_transfer_coding() {
    let proxy = proxy(request_lines().await).await;
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked"] {
        let mut client = Raw::connect(proxy.address).await;
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {coding}\r\n\r\n");
        client.send(&format!("{head}4\r\nbody\r\n0\r\n\r\n")).await;
        let response = client.read_to_end().await;
        // hyper itself refuses the second one.
        let is_refused = ["HTTP/1.1 501 ", "HTTP/1.1 400 "]
            .iter()
            .any(|status| response.starts_with(status));
        assert!(is_refused, "{coding}: {response}");
    }
}

#[test]
fn error_messages_contain_no_password() {
    for base in [
        "http://user:secret@127.0.0.1:1",
        "https://user:secret@a/",
        "http://u:secret@a b",
    ] {
        let error = Upstream::new(base, UpstreamLimits::default()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
