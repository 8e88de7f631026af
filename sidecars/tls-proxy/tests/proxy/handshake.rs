//! Handshakes that fail, hang or are refused, and their limits.

use super::*;

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let other = Authority::new().root;
    let error = handshake(proxy.address, &other, "h2", BOTH)
        .await
        .unwrap_err();

    assert!(error.to_string().contains("certificate"), "{error}");
    // The proxy keeps serving.
    assert_eq!(
        within(h1(&proxy).await.send_request(get("/")))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn rejects_tls_1_2_if_the_minimum_is_1_3() {
    let proxy = proxy(mirror().await, |config| {
        config.min_version = MinVersion::Tls13;
    })
    .await;
    let old = &[&rustls::version::TLS12];

    assert!(
        handshake(proxy.address, &proxy.root, "h2", old)
            .await
            .is_err()
    );

    assert!(
        handshake(proxy.address, &proxy.root, "h2", BOTH)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn accepts_tls_1_2_by_default() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let old = &[&rustls::version::TLS12];
    assert!(
        handshake(proxy.address, &proxy.root, "h2", old)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn closes_a_plain_http_connection_and_keeps_serving() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let mut plain = TcpStream::connect(proxy.address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();

    let mut answer = Vec::new();
    let _ = within(plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(
        within(h1(&proxy).await.send_request(get("/")))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn closes_a_connection_after_the_handshake_timeout() {
    let limit = HumanDuration::from_millis(50);
    let proxy = proxy(mirror().await, |config| config.handshake_timeout = limit).await;
    let mut silent = TcpStream::connect(proxy.address).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(silent.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_hanging_handshake_delays_no_other_client() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let _silent = TcpStream::connect(proxy.address).await.unwrap();
    assert_eq!(
        within(h1(&proxy).await.send_request(get("/")))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn limits_the_connections_of_a_client_address() {
    let proxy = proxy(mirror().await, |config| {
        config.max_connections_per_client = 2;
    })
    .await;
    let (first, second) = (h1(&proxy).await, h1(&proxy).await);
    // Above the maximum of two.
    let third = handshake(proxy.address, &proxy.root, "h2", BOTH).await;
    assert!(third.is_err());
    drop((first, second));

    within(async {
        while handshake(proxy.address, &proxy.root, "h2", BOTH)
            .await
            .is_err()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Clients reset their connection within the handshake, a request or a response; other clients are not
/// affected, and every connection is released.
#[tokio::test]
async fn clients_that_vanish_do_not_affect_others() {
    let hop = next_hop(|request: Request| async move {
        let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        answer("x".repeat(5_000_000))
    });
    let proxy = proxy(hop.await, |config| config.max_connections_per_client = 8).await;
    let post = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nabc";
    let get_all = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    for at in 0..30 {
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        // With a linger of zero, close(2) sends a reset.
        rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
        if at % 3 == 0 {
            continue;
        }

        let config = Arc::new(support::client_config(&proxy.root, None));
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let shaking = tokio_rustls::TlsConnector::from(config).connect(name, stream);

        // The address is at its maximum until the proxy notices the earlier resets.
        let Ok(mut tls) = within(shaking).await else {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            continue;
        };

        let request = if at % 3 == 1 { &post[..] } else { get_all };
        let _ = tls.write_all(request).await;
        let _ = tls.flush().await;
        let mut part = [0; 1000];

        if at % 3 == 2 {
            let _ = within(tls.read(&mut part)).await;
        }
    }

    // All eight connections are available again.
    within(async {
        loop {
            let mut open = Vec::new();
            while open.len() < 8 {
                match handshake(proxy.address, &proxy.root, "http/1.1", BOTH).await {
                    Ok(stream) => open.push(stream),
                    Err(_) => break,
                }
            }

            if open.len() == 8 {
                break;
            }
            drop(open);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}
