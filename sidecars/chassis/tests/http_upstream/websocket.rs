//! WebSockets, which are forwarded, and other upgrades, which are not.

use super::*;

/// Starts a next hop that accepts WebSockets and then echoes, or answers which upgrade was requested.
async fn websocket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let mut raw = Raw(listener.accept().await.unwrap().0);
            let head = raw.read_until("\r\n\r\n").await.to_lowercase();
            if head.contains("upgrade: websocket\r\n") && head.contains("connection: upgrade\r\n") {
                raw.send("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: yes\r\n\r\n").await;
                let (mut from, mut to) = raw.0.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            } else {
                let upgrade = if head.contains("upgrade") {
                    "upgrade"
                } else {
                    "nothing"
                };

                let length = upgrade.len();
                raw.send(&format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{upgrade}"
                ))
                .await;
            }
        }
    });

    address
}

const WEBSOCKET: &str =
    "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn forwards_websockets() {
    let proxy = proxy(websocket().await).await;
    let mut client = Raw::connect(proxy.address).await;
    client.send(WEBSOCKET).await;

    let head = client.read_until("\r\n\r\n").await.to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    assert!(head.contains("upgrade: websocket"), "{head}");
    assert!(head.contains("sec-websocket-accept: yes"), "{head}");

    for frame in ["one", "two"] {
        client.send(frame).await;
        client.read_until(frame).await;
    }
}

#[tokio::test]
async fn a_websocket_ends_after_the_stall_timeout_or_the_drain_timeout() {
    let target = websocket().await;
    let limits = Limits {
        stall_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let stalling = proxy_with(target, limits).await;
    let mut client = Raw::connect(stalling.address).await;

    client.send(WEBSOCKET).await;
    client.read_until("\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, "");

    let limits = Limits {
        drain_timeout: HumanDuration::from_millis(50),
        ..Limits::default()
    };
    let draining = proxy_with(target, limits).await;
    let mut client = Raw::connect(draining.address).await;

    client.send(WEBSOCKET).await;
    client.read_until("\r\n\r\n").await;
    // The default stall timeout is minutes, so only the drain can end this one.
    draining.trigger.fire();
    within(draining.task).await.unwrap();
    assert_eq!(client.read_to_end().await, "");
}

#[tokio::test]
async fn forwards_no_other_upgrade() {
    let proxy = proxy(websocket().await).await;
    let head = "GET / HTTP/1.1\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__";
    let mut client = Raw::connect(proxy.address).await;
    client
        .send(&format!(
            "{head}\r\nhost: a\r\nconnection: upgrade, http2-settings\r\n\r\n"
        ))
        .await;

    assert!(
        client
            .read_until("nothing")
            .await
            .starts_with("HTTP/1.1 200")
    );
}
