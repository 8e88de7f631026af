//! Shared by the tests: certificates, a next hop, and a real TLS client.

#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use chassis::{
    Secret, Shutdown, Trigger,
    http::{self, Body, Limits, empty},
};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tls_proxy::{Config, Proxy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) type Request = ::http::Request<Body>;
pub(crate) type Response = ::http::Response<Body>;

/// A certificate authority and a certificate it signed for `localhost`.
pub(crate) struct Authority {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);

        let root = ca.self_signed(&ca_key).unwrap().der().clone();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = leaf
            .signed_by(&key, &Issuer::new(ca, ca_key))
            .unwrap()
            .pem();

        Self {
            root,
            certificate,
            key: key.serialize_pem(),
        }
    }
}

/// An authority that signs certificates and revocation lists.
pub(crate) struct Signer {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) root_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Without the second usage, the revocation lists would be rejected.
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = ca.self_signed(&key).unwrap();
        Self {
            root: root.der().clone(),
            root_pem: root.pem(),
            issuer: Issuer::new(ca, key),
        }
    }

    /// Signs a certificate and returns it with its key, both as PEM.
    pub(crate) fn sign(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Signs a certificate for a DNS name and an RSA key, and returns both in one text.
    pub(crate) fn rsa_server(&self, name: &str) -> String {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        certificate.pem() + &key.serialize_pem()
    }

    /// Signs a certificate for DNS names and returns it with its key in one text.
    pub(crate) fn server(&self, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let (certificate, key) = self.sign(CertificateParams::new(names).unwrap());
        certificate + &key
    }

    /// Signs a revocation list that contains this serial number.
    pub(crate) fn revocation_list(&self, serial: u64) -> String {
        let now = rcgen::date_time_ymd(2026, 1, 1);
        let list = CertificateRevocationListParams {
            this_update: now,
            next_update: rcgen::date_time_ymd(2036, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: now,
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };

        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Returns the configuration of a client that trusts `root` and may have a certificate.
pub(crate) fn client_config(
    root: &CertificateDer<'static>,
    identity: Option<&(String, String)>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);

    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// Connects with a server name and performs the handshake.
pub(crate) async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    within(TlsConnector::from(Arc::clone(config)).connect(name, stream)).await
}

/// Sends a GET request on a connection and returns the whole response.
pub(crate) async fn send_get(
    mut stream: TlsStream<TcpStream>,
    headers: &str,
) -> std::io::Result<String> {
    let request =
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await?;
    Ok(String::from_utf8(answer).unwrap())
}

/// Starts a next hop that answers with the request line and headers it received, one per line.
pub(crate) async fn mirror() -> SocketAddr {
    next_hop(|request: Request| async move {
        let headers = request.headers().iter();
        let lines = headers.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        answer(format!(
            "{} {}\n{}",
            request.method(),
            request.uri(),
            lines.collect::<String>()
        ))
    })
    .await
}

/// A running proxy with the authority of its certificate.
pub(crate) struct RunningProxy {
    pub(crate) address: SocketAddr,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) trigger: Trigger,
    pub(crate) task: JoinHandle<()>,
}

/// Starts a proxy in front of `upstream`.
pub(crate) async fn proxy(upstream: SocketAddr, change: impl FnOnce(&mut Config)) -> RunningProxy {
    let Authority {
        root,
        certificate,
        key,
    } = Authority::new();
    let mut config = Config {
        upstream: Some(format!("http://{upstream}")),
        certificate: Secret::new(certificate),
        key: Secret::new(key),
        ..Config::default()
    };

    change(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = Shutdown::pair();

    // Created here and not in the task, so that a test may change the files afterwards.
    let proxy = Proxy::new(&config).unwrap();
    let task = tokio::spawn(async move {
        proxy.serve(listener, shutdown).await.unwrap();
    });

    RunningProxy {
        address,
        root,
        trigger,
        task,
    }
}

/// Starts a next hop that runs as long as the test.
pub(crate) async fn next_hop<S, F>(service: S) -> SocketAddr
where
    S: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::serve(
        listener,
        service,
        Limits::default(),
        Shutdown::never(),
    ));

    address
}

pub(crate) fn answer(text: impl Into<String>) -> Response {
    Response::new(http::full(text.into()))
}

/// Waits for a future that must resolve; the timeout is generous, because the host may be busy.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future)
        .await
        .expect("timed out")
}

/// Connects and performs the handshake, as a client that trusts only `root`.
pub(crate) async fn handshake(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    alpn: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    // One protocol only, so that ALPN must select it.
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

pub(crate) const BOTH: &[&rustls::SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];

/// Opens an HTTP/1.1 connection.
pub(crate) async fn h1(proxy: &RunningProxy) -> http1::SendRequest<Body> {
    let stream = handshake(proxy.address, &proxy.root, "http/1.1", BOTH)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Opens an HTTP/2 connection.
pub(crate) async fn h2(proxy: &RunningProxy) -> http2::SendRequest<Body> {
    let stream = handshake(proxy.address, &proxy.root, "h2", BOTH)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Returns a request without a body, in HTTP/1.1 form.
pub(crate) fn get(path: &str) -> ::http::Request<Body> {
    ::http::Request::get(path)
        .header("host", "localhost")
        .body(empty())
        .unwrap()
}

pub(crate) async fn text(response: ::http::Response<Incoming>) -> String {
    let bytes = within(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}
