//! TcpForwarder connections: mode `tcp` and mode `originate`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
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

/// Reads everything, then answers with it and an end of its own.
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

async fn raw(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> RunningProxy {
    proxy(upstream, |config| {
        config.mode = Mode::Tcp;
        config.upstream = Some(format!("tcp://{upstream}"));
        change(config);
    })
    .await
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_way_ends_for_itself() {
    let proxy = raw(echo_at_the_end().await, |_| {}).await;
    let config = Arc::new(client_config(&proxy.root, None));
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
async fn a_silent_connection_is_ended_and_a_talking_one_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            open.push(listener.accept().await.unwrap());
        }
    });

    let proxy = raw(upstream, |config| {
        config.limits.stall_timeout = HumanDuration::from_millis(300);
    })
    .await;
    let config = Arc::new(client_config(&proxy.root, None));
    let mut silent = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut talking = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut byte = [0];

    for _ in 0..10 {
        talking.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Either an end or a reset; and by now, not in five minutes.
    let ended = tokio::time::timeout(Duration::from_millis(1), silent.read(&mut byte)).await;
    assert!(!matches!(ended.expect("it has ended"), Ok(1)));
    talking.write_all(b"x").await.unwrap();
}

#[tokio::test]
async fn without_a_next_hop_the_connection_is_closed() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = raw(nobody, |_| {}).await;
    let config = Arc::new(client_config(&proxy.root, None));
    let mut stream = connect(proxy.address, &config, "localhost").await.unwrap();
    let mut answer = Vec::new();

    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty());
}

/// The first bytes the next hop sees.
async fn header(send: SendProxyProtocol, first: &[u8]) -> (Vec<u8>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let proxy = raw(upstream, |config| {
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
    let (mut seen, _) = within(listener.accept()).await.unwrap();
    let mut bytes = Vec::new();

    within(seen.read_to_end(&mut bytes)).await.unwrap();
    let at = bytes.len() - 5;
    assert_eq!(&bytes[at..], b"hello");
    bytes.truncate(at);

    (bytes, client)
}

#[tokio::test]
async fn the_next_hop_is_told_who_the_client_is() {
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
async fn the_client_a_balancer_names_is_passed_on() {
    let far: SocketAddr = "203.0.113.9:4711".parse().unwrap();
    let line = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n";
    assert_eq!(
        parse_v1(&header(SendProxyProtocol::V1, line).await.0),
        Ok(Some(far))
    );

    let mut block = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    block.extend([203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 1, 187]);
    assert_eq!(
        parse_v1(&header(SendProxyProtocol::V1, &block).await.0),
        Ok(Some(far))
    );
}

#[tokio::test]
async fn who_leaves_the_header_out_or_writes_nonsense_is_closed() {
    let proxy = raw(echo_at_the_end().await, |config| {
        config.accept_proxy_protocol = true;
    })
    .await;
    let config = Arc::new(client_config(&proxy.root, None));

    assert!(connect(proxy.address, &config, "localhost").await.is_err());
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
    for nonsense in [
        &b"PROXY TCP4 1.1.1.1\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &endless,
    ] {
        let mut tcp = TcpStream::connect(proxy.address).await.unwrap();
        tcp.write_all(nonsense).await.unwrap();
        let mut answer = Vec::new();
        let _ = within(tcp.read_to_end(&mut answer)).await;
        assert!(answer.is_empty());
    }
}

/// A proxy that speaks TLS to another one, which speaks to the echo.
async fn chain(change: impl FnOnce(&mut Config, &Signer)) -> RunningProxy {
    let signer = Signer::new();
    let pem = signer.server(&["db.example"]);
    let far = raw(echo_at_the_end().await, |config| {
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

async fn through(address: SocketAddr, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(sent).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await?;
    Ok(answer)
}

#[tokio::test]
async fn plain_bytes_leave_as_tls_to_whom_is_verified() {
    let running = chain(|_, _| {}).await;
    let sent = vec![7; 500_000];
    assert!(through(running.address, &sent).await.unwrap() == sent);
}

#[tokio::test]
async fn nothing_leaves_to_a_next_hop_of_another_name_or_authority() {
    let other_name =
        chain(|config, _| config.upstream_server_name = Some("other.example".into())).await;
    assert!(
        through(other_name.address, b"secret")
            .await
            .unwrap_or_default()
            .is_empty()
    );

    let public = chain(|config, _| config.upstream_ca_file = None).await;
    assert!(
        through(public.address, b"secret")
            .await
            .unwrap_or_default()
            .is_empty()
    );
}
