//! The components embedded in another program: one shape for all, and two of them in one process.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a failed precondition must fail the test"
)]

use std::{error::Error, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use auth_filter::credentials::ApiKey;
use chassis::{
    Readiness, Shutdown,
    http::{Limits, full},
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

type AnyError = Box<dyn Error + Send + Sync>;

/// Compiles only for a function of the shape that every component has.
fn assert_shape<C: Default, F, E: Error>(_: fn(C, TcpListener, Shutdown, Readiness) -> F)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
{
}

#[test]
fn every_component_has_one_shape() {
    assert_shape::<tls_proxy::Config, _, tls_proxy::Error>(tls_proxy::serve);
    assert_shape::<auth_filter::Config, _, auth_filter::Error>(auth_filter::serve);
    assert_shape::<telemetry_forwarder::Config, _, telemetry_forwarder::Error>(
        telemetry_forwarder::serve,
    );
    assert_shape::<coins::Config, _, coins::Error>(coins::serve);
    assert_shape::<thumbnail::Config, _, thumbnail::Error>(thumbnail::serve);
}

#[tokio::test]
async fn invalid_settings_are_an_error_and_not_ready() {
    let (_, listener) = bind().await;
    let readiness = Readiness::new();
    let config = auth_filter::Config::default();
    let serving = auth_filter::serve(config, listener, Shutdown::never(), readiness.clone());

    // The latches are taken by the call, before the future runs.
    assert_eq!(readiness.waiting_for(), ["keys", "upstream"]);
    let error = within(serving).await.expect_err("`upstream` is missing");
    let auth_filter::Error::Settings(error) = error else {
        panic!("{error}");
    };
    let settings: Vec<String> = error
        .into_problems()
        .into_iter()
        .map(|p| p.setting)
        .collect();
    assert_eq!(settings, ["upstream", "issuer"]);
    assert!(!readiness.is_ready());
}

#[tokio::test]
async fn two_proxies_run_in_one_process_in_front_of_an_app() -> Result<(), AnyError> {
    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("ca.pem");
    let (stop, shutdown) = Shutdown::pair();
    let readiness = Readiness::new();

    let (app_address, app) = bind().await;
    let hello = |_| async { http::Response::new(full("hello")) };
    let app = tokio::spawn(chassis::http::serve(
        app,
        hello,
        Limits::default(),
        shutdown.clone(),
    ));

    let (filter_address, listener) = bind().await;
    let config = auth_filter::Config {
        upstream: format!("http://{app_address}"),
        api_keys: vec![ApiKey {
            id: "ada".to_owned(),
            sha256: KEY_SHA256.to_owned(),
            scopes: Vec::new(),
            expires: None,
        }],
        ..auth_filter::Config::default()
    };
    let filter = auth_filter::serve(config, listener, shutdown.clone(), readiness.clone());
    let filter = tokio::spawn(filter);

    let (proxy_address, listener) = bind().await;
    let config = tls_proxy::Config {
        upstream: Some(format!("http://{filter_address}")),
        dev_ca_file: Some(ca_file.clone()),
        ..tls_proxy::Config::default()
    };
    let proxy = tls_proxy::serve(config, listener, shutdown, readiness.clone());
    // One readiness for both: it has the latches of each.
    assert_eq!(readiness.waiting_for().len(), 4);
    let proxy = tokio::spawn(proxy);
    within(async {
        while !readiness.is_ready() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    let refused = within(get(proxy_address, &ca_file, "")).await?;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let answered = within(get(proxy_address, &ca_file, KEY_HEADER)).await?;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    assert!(answered.ends_with("hello"), "{answered}");

    stop.fire();
    within(app).await?;
    within(filter).await??;
    within(proxy).await??;
    Ok(())
}

async fn bind() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    (listener.local_addr().expect("it is bound"), listener)
}

/// Sends a GET over TLS and returns the response.
async fn get(address: SocketAddr, ca_file: &Path, header: &str) -> Result<String, AnyError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();

    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost")?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future)
        .await
        .expect("it takes longer than the limit")
}

const LIMIT: Duration = Duration::from_secs(30);
const KEY_HEADER: &str = "x-api-key: a key for the embedding test\r\n";
/// The SHA-256 of the key in `KEY_HEADER`.
const KEY_SHA256: &str = "cd2b8f175440b30b3f22806dff9153e8106a85a56fa5983ab2e2e8b56414998c";
