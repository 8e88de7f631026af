//! The proxy embedded in another program, as the README shows it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod support;

use std::sync::Arc;

use chassis::BoxError;
use support::{Signer, client_config, connect, mirror, send_get};
use tokio::net::TcpListener;

#[tokio::test]
async fn embeds_the_proxy_in_another_program() -> Result<(), BoxError> {
    let (signer, folder) = (Signer::new(), tempfile::tempdir()?);
    let pem = folder.path().join("tls.pem");
    std::fs::write(&pem, signer.server(&["localhost"]))?;

    let app = mirror().await;

    // From here on as in the README.
    let config = tls_proxy::Config {
        upstream: Some(format!("http://{app}")),
        certificate_file: Some(pem),
        ..tls_proxy::Config::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, shutdown) = tls_proxy::Shutdown::pair();
    let readiness = tls_proxy::Readiness::new();
    let serving = tls_proxy::serve(config, listener, shutdown, readiness.clone());
    assert_eq!(readiness.waiting_for(), ["certificate", "upstream"]);
    let serving = tokio::spawn(serving);

    let client = Arc::new(client_config(&signer.root, None));
    let stream = connect(address, &client, "localhost").await?;
    assert!(send_get(stream, "").await?.starts_with("HTTP/1.1 200 "));

    stop.fire();
    serving.await??;
    Ok(())
}
