//! The stop, while the upstream still serves and under load.

use super::*;

#[tokio::test]
async fn a_stop_keeps_serving_until_the_upstream_stops() {
    let (signer, app) = (
        Signer::new(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let upstream = app.local_addr().unwrap();
    let (stop, shutdown) = chassis::Shutdown::pair();
    let app = tokio::spawn(chassis::http::serve(
        app,
        |_: support::Request| async { support::answer("still here") },
        chassis::http::Limits::default(),
        shutdown,
    ));

    let pem = signer.server(&["localhost"]);
    let variables = [
        ("TLS_PROXY_CERTIFICATE", &*pem),
        ("TLS_PROXY_UPSTREAM_DRAIN_TIMEOUT", "15s"),
    ];
    let mut process = RunningProcess::new(upstream, &variables).await;

    process.signal(Signal::TERM);
    line(&mut process.lines, "waiting for the upstream to stop").await;
    // Several polls of the upstream, which still accepts.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;

    let config = Arc::new(support::client_config(&signer.root, None));
    let stream = support::connect(process.address, &config, "localhost")
        .await
        .unwrap();
    let answer = support::send_get(stream, "").await.unwrap();

    assert!(answer.ends_with("still here"), "{answer}");
    stop.fire();
    within(app).await.unwrap();
    line(&mut process.lines, "upstream stopped").await;
    assert_eq!(within(process.child.wait()).await.unwrap().code(), Some(0));
}

/// Sends requests until the proxy is gone; returns how many were answered, and the failures.
async fn request_until_gone(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
    is_h2: bool,
) -> (usize, Vec<String>) {
    let (mut answered, mut failed) = (0, Vec::new());
    while let Ok(stream) = support::connect(address, &config, "localhost").await {
        let io = TokioIo::new(stream);
        let request = || {
            let target = if is_h2 { "https://localhost/" } else { "/" };
            let request = ::http::Request::get(target).header("host", "localhost");
            request.body(chassis::http::empty()).unwrap()
        };

        macro_rules! request_until_closed {
            ($sender:ident) => {
                while $sender.ready().await.is_ok() {
                    match within($sender.try_send_request(request())).await {
                        Ok(response) => match within(response.into_body().collect()).await {
                            Ok(_) => answered += 1,
                            Err(error) => failed.push(format!("body: {error:?}")),
                        },
                        Err(mut error) => {
                            // A request that was not sent is no failure, since a client can safely retry it.
                            // Nor is one after GOAWAY, which was not processed (RFC 9113 section 6.8).
                            let is_unsent = error.take_message().is_some();
                            let error = format!("{:?}", error.into_error());
                            if !is_unsent && !error.contains("GoAway(b\"\", NO_ERROR, Remote)") {
                                failed.push(error);
                            }
                            break;
                        }
                    }
                }
            };
        }

        if is_h2 {
            let Ok((mut sender, connection)) = http2::handshake(TokioExecutor::new(), io).await
            else {
                break;
            };
            tokio::spawn(connection);
            request_until_closed!(sender);
        } else {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            request_until_closed!(sender);
        }
    }

    (answered, failed)
}

/// A release requires `DRAINS=20`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains_under_load_fail_no_request() {
    let drains: usize = std::env::var("DRAINS").map_or(4, |text| text.parse().unwrap());
    let signer = Signer::new();
    let pem = signer.server(&["localhost"]);
    let upstream = support::next_hop(|_: support::Request| async {
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        support::answer("x".repeat(20_000))
    })
    .await;

    for at in 0..drains {
        let mut process = RunningProcess::new(upstream, &[("TLS_PROXY_CERTIFICATE", &*pem)]).await;
        let clients: Vec<_> = (0..8)
            .map(|client| {
                let is_h2 = client % 2 == 0;
                let mut config = support::client_config(&signer.root, None);
                config.alpn_protocols = vec![if is_h2 {
                    b"h2".to_vec()
                } else {
                    b"http/1.1".to_vec()
                }];
                tokio::spawn(request_until_gone(process.address, config.into(), is_h2))
            })
            .collect();

        // Each drain begins at another moment of the load.
        tokio::time::sleep(std::time::Duration::from_millis(150 + 17 * at as u64)).await;
        process.signal(Signal::TERM);
        assert_eq!(within(process.child.wait()).await.unwrap().code(), Some(0));

        for client in clients {
            let (answered, failed) = within(client).await.unwrap();
            assert!(answered > 0);
            assert!(failed.is_empty(), "drain {at}: {failed:?}");
        }
    }
}
