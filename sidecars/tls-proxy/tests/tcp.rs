//! The modes `tcp` and `originate`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod support;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use chassis::{HumanDuration, Secret};
use support::{RunningProxy, Signer, client_config, connect, proxy, within};
use tls_proxy::{Config, Mode, SendProxyProtocol, parse_v1, parse_v2};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Starts a server that reads until the client's end, then echoes everything and closes.
async fn echo_at_the_end() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut send_get = Vec::new();
                if stream.read_to_end(&mut send_get).await.is_ok() {
                    let _ = stream.write_all(&send_get).await;
                }
            });
        }
    });

    address
}

async fn tcp_proxy(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> RunningProxy {
    proxy(upstream, |config| {
        config.mode = Mode::Tcp;
        config.upstream = Some(format!("tcp://{upstream}"));
        change(config);
    })
    .await
}

#[tokio::test]
async fn forwards_both_directions_and_each_end() {
    let proxy = tcp_proxy(echo_at_the_end().await, |_| {}).await;
    let config = Arc::new(client_config(&proxy.root, None));
    // Nothing, less than a buffer, and more than the buffers of all sockets.
    for size in [0, 1, 100_000, 3_000_000] {
        let sent: Vec<u8> = (0..size).map(|at: u32| (at / 7) as u8).collect();
        let stream = connect(proxy.address, &config, "localhost").await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let mut answer = Vec::new();
        let sending = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let ((), got) =
            within(async { tokio::join!(sending, read.read_to_end(&mut answer)) }).await;

        got.unwrap();
        assert_eq!(answer.len(), sent.len());
        assert!(answer == sent);
    }
}

#[tokio::test]
async fn closes_an_idle_connection_and_no_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        // Accepts and keeps every connection open, without reading.
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });

    let proxy = tcp_proxy(upstream, |config| {
        config.limits.stall_timeout = HumanDuration::from_millis(300);
    })
    .await;
    let config = Arc::new(client_config(&proxy.root, None));
    let mut idle = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut active = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut byte = [0];

    for _ in 0..10 {
        active.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // An end or a reset, within the second that has passed and not after the default of five minutes.
    let ended = tokio::time::timeout(Duration::from_millis(1), idle.read(&mut byte)).await;
    assert!(!matches!(
        ended.expect("the idle connection is closed"),
        Ok(1)
    ));
    active.write_all(b"x").await.unwrap();
}

#[tokio::test]
async fn closes_the_connection_if_the_next_hop_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = tcp_proxy(closed, |_| {}).await;
    let config = Arc::new(client_config(&proxy.root, None));
    let mut stream = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut answer = Vec::new();

    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty());
}

/// Returns the header that the next hop receives, and the client's address.
async fn header(send: SendProxyProtocol, first: &[u8]) -> (Vec<u8>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let proxy = tcp_proxy(upstream, |config| {
        config.send_proxy_protocol = send;
        config.accept_proxy_protocol = !first.is_empty();
    })
    .await;
    let config = Arc::new(client_config(&proxy.root, None));
    let mut tcp = TcpStream::connect(proxy.address).await.unwrap();
    let client = tcp.local_addr().unwrap();

    tcp.write_all(first).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = within(tokio_rustls::TlsConnector::from(config).connect(name, tcp))
        .await
        .unwrap();

    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let (mut next_hop, _) = within(listener.accept()).await.unwrap();
    let mut bytes = Vec::new();

    within(next_hop.read_to_end(&mut bytes)).await.unwrap();
    // Everything before the client's five bytes is the header.
    let at = bytes.len() - 5;
    assert_eq!(&bytes[at..], b"hello");
    bytes.truncate(at);

    (bytes, client)
}

#[tokio::test]
async fn sends_a_proxy_protocol_header_with_the_client() {
    let (line, client) = header(SendProxyProtocol::V1, b"").await;
    assert_eq!(parse_v1(&line), Ok(Some(client)));
    let (block, client) = header(SendProxyProtocol::V2, b"").await;
    assert_eq!(
        parse_v2(block[12], block[13], &block[16..]),
        Ok(Some(client))
    );

    let text = String::from_utf8_lossy(&block);
    assert!(
        text.contains("localhost") && text.contains("TLSv1.3"),
        "{text:?}"
    );
}

#[tokio::test]
async fn forwards_the_client_of_an_incoming_proxy_protocol_header() {
    let client: SocketAddr = "203.0.113.9:4711".parse().unwrap();
    let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n";
    assert_eq!(
        parse_v1(&header(SendProxyProtocol::V1, line).await.0),
        Ok(Some(client))
    );

    let mut block = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    // Source and target address, then their ports: 0x1267 is 4711.
    block.extend([203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 1, 187]);
    assert_eq!(
        parse_v1(&header(SendProxyProtocol::V1, &block).await.0),
        Ok(Some(client))
    );
}

#[tokio::test]
async fn closes_a_connection_without_a_valid_proxy_protocol_header() {
    let proxy = tcp_proxy(echo_at_the_end().await, |config| {
        config.accept_proxy_protocol = true;
    })
    .await;
    let config = Arc::new(client_config(&proxy.root, None));

    assert!(connect(proxy.address, &config, "localhost").await.is_err());
    // Longer than the 107 bytes of a version 1 header, without a line end.
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
    for invalid in [
        &b"PROXY TCP4 1.1.1.1\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &endless,
    ] {
        let mut tcp = TcpStream::connect(proxy.address).await.unwrap();
        tcp.write_all(invalid).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(tcp.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
    }
}

#[tokio::test]
async fn only_the_configured_sources_may_send_a_proxy_protocol_header() {
    let through = async |source: &str| {
        let source = source.parse().unwrap();
        let proxy = tcp_proxy(echo_at_the_end().await, |config| {
            config.accept_proxy_protocol = true;
            config.proxy_protocol_sources = vec!["2001:db8::/32".parse().unwrap(), source];
        })
        .await;
        let mut tcp = TcpStream::connect(proxy.address).await.unwrap();
        let _ = tcp
            .write_all(b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n")
            .await;
        let config = Arc::new(client_config(&proxy.root, None));
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        within(tokio_rustls::TlsConnector::from(config).connect(name, tcp)).await
    };

    assert!(through("127.0.0.0/8").await.is_ok());
    // The address in the header does not make the sender a trusted one.
    assert!(through("203.0.113.0/24").await.is_err());
}

/// Starts a proxy in mode `originate` in front of another one in mode `tcp`, in front of the echo.
async fn chain(change: impl FnOnce(&mut Config, &Signer)) -> RunningProxy {
    let signer = Signer::new();
    let pem = signer.server(&["db.example"]);
    let far = tcp_proxy(echo_at_the_end().await, |config| {
        config.certificate = Secret::new(pem);
        config.key = Secret::default();
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");

    fs::write(&ca, &signer.root_pem).unwrap();
    proxy(far.address, |config| {
        config.mode = Mode::Originate;
        config.certificate = Secret::default();
        config.key = Secret::default();
        config.upstream = Some(format!("tls://{}", far.address));
        config.upstream_server_name = Some("db.example".into());
        config.upstream_ca_file = Some(ca);
        change(config, &signer);
    })
    .await
}

async fn echo_through(address: SocketAddr, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(sent).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await?;
    Ok(answer)
}

#[tokio::test]
async fn originates_tls_to_a_verified_next_hop() {
    let running = chain(|_, _| {}).await;
    let sent = vec![7; 500_000];
    assert!(echo_through(running.address, &sent).await.unwrap() == sent);
}

#[tokio::test]
async fn sends_nothing_to_a_next_hop_with_another_name_or_authority() {
    let other_name =
        chain(|config, _| config.upstream_server_name = Some("other.example".into())).await;
    assert!(
        echo_through(other_name.address, b"secret")
            .await
            .unwrap_or_default()
            .is_empty()
    );

    // The public authorities have not signed the test's certificate.
    let public = chain(|config, _| config.upstream_ca_file = None).await;
    assert!(
        echo_through(public.address, b"secret")
            .await
            .unwrap_or_default()
            .is_empty()
    );
}
