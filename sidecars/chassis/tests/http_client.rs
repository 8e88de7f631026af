//! The client for servers outside the task, against servers and proxies on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::http::{Request, Uri};
use bytes::Bytes;
use chassis::http::client::{
    AddressPolicy, Client, ClientConfig, ClientError, ClientLimits, PlainHttp, ProxySettings,
    SetupError, TrustStore,
};
use rustls::pki_types::PrivateKeyDer;
use support::{Raw, text, within};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that sends prepared responses; each connection serves requests until it is closed.
struct TestServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What the server does after a response.
#[derive(Clone, Copy, PartialEq)]
enum After {
    KeepOpen,
    Close,
}

impl TestServer {
    async fn new(response: &'static str, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
        };
        let (connections, heads) = (server.connections.clone(), server.heads.clone());

        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let heads = heads.clone();
                tokio::spawn(async move {
                    let mut raw = Raw(stream);
                    loop {
                        let head = raw.read_until("\r\n\r\n").await;
                        heads.lock().unwrap().push(head);
                        raw.send(response).await;
                        if after == After::Close {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A certificate authority as PEM, and a TLS server for `server.test` with a certificate issued by it.
fn authority() -> (String, TlsAcceptor) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);

    let key = KeyPair::generate().unwrap();
    let names = vec!["server.test".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

/// Serves TLS and passes the plain bytes on to another server.
async fn terminate_tls(acceptor: TlsAcceptor, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let _ = copy_bidirectional(&mut stream, &mut server).await;
                }
            });
        }
    });
    address
}

/// A proxy that answers CONNECT with `response`, and tunnels to `to` whatever the name is.
async fn connect_proxy(
    response: &'static str,
    to: SocketAddr,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let recorded = heads.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut raw = Raw(stream);
            let head = raw.read_until("\r\n\r\n").await;
            recorded.lock().unwrap().push(head);
            raw.send(response).await;
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await.unwrap();
                let _ = copy_bidirectional(&mut raw.0, &mut server).await;
            });
        }
    });
    (address, heads)
}

fn proxy_settings(variable: &'static str, url: String) -> ProxySettings {
    ProxySettings::from_variables(|name| (name == variable).then(|| url.clone()))
}

fn client(config: ClientConfig) -> Client {
    Client::new(config).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url.parse::<Uri>().unwrap())
        .body(Bytes::new())
        .unwrap()
}

async fn fetch(client: &Client, url: &str) -> Result<String, ClientError> {
    let response = within(client.fetch(get(url), support::LIMIT)).await?;
    Ok(String::from_utf8(response.into_body().to_vec()).unwrap())
}

fn trust(folder: &Path, pem: &str) -> TrustStore {
    let path = folder.join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    TrustStore::CaFile(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_a_row_share_a_connection() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let client = client(ClientConfig::default());
    for _ in 0..100 {
        assert_eq!(fetch(&client, &server.url("/")).await.unwrap(), "ok");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn sends_path_host_and_user_agent() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let client = client(ClientConfig {
        user_agent: Some("test/1".parse().unwrap()),
        ..ClientConfig::default()
    });

    let url = format!("http://user:secret@{}/a?b", server.address);
    fetch(&client, &url).await.unwrap();
    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /a?b HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("host: {}\r\n", server.address)),
        "{head}"
    );
    assert!(head.contains("user-agent: test/1\r\n"), "{head}");
    assert!(!head.contains("secret"), "{head}");
}

#[tokio::test]
async fn opens_a_connection_when_the_server_closed_the_idle_one() {
    let server = TestServer::new(OK, After::Close).await;
    let client = client(ClientConfig::default());
    for _ in 0..5 {
        assert_eq!(fetch(&client, &server.url("/")).await.unwrap(), "ok");
        // The close may arrive only after the next request was written, which must not be sent twice.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.heads().len(), 5);
}

#[tokio::test]
async fn sends_no_request_twice() {
    // A response head without end: the connection closes while the client waits.
    let server = TestServer::new("HTTP/1.1 200 OK\r\n", After::Close).await;
    let client = client(ClientConfig::default());
    let error = fetch(&client, &server.url("/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Exchange { .. }), "{error:?}");
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn sends_a_get_again_when_a_kept_connection_closes_without_a_response() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut first = Raw(listener.accept().await.unwrap().0);
        first.read_until("\r\n\r\n").await;
        first.send(OK).await;
        first.read_until("\r\n\r\n").await;
        drop(first);

        let mut second = Raw(listener.accept().await.unwrap().0);
        second.read_until("\r\n\r\n").await;
        second.send(OK).await;
    });

    let client = client(ClientConfig::default());
    for _ in 0..2 {
        assert_eq!(fetch(&client, &url).await.unwrap(), "ok");
    }
    within(serving).await.unwrap();
}

#[tokio::test]
async fn a_body_dropped_early_closes_its_connection() {
    let response = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let server = TestServer::new(response, After::KeepOpen).await;
    let client = client(ClientConfig::default());
    for _ in 0..2 {
        drop(within(client.send(get(&server.url("/")))).await.unwrap());
    }
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn trusts_only_the_configured_authority() {
    let (pem, acceptor) = authority();
    let server = TestServer::new(OK, After::KeepOpen).await;
    let tls = terminate_tls(acceptor, server.address).await;
    let folder = tempfile::tempdir().unwrap();
    let url = |host: &str| format!("https://{host}:{}/", tls.port());

    let trusting = client(ClientConfig {
        trust: trust(folder.path(), &pem),
        ..ClientConfig::default()
    });
    assert_eq!(fetch(&trusting, &url("localhost")).await.unwrap(), "ok");

    // A certificate for another name, and an unknown authority.
    let public = client(ClientConfig::default());
    for (client, host) in [(&trusting, "127.0.0.1"), (&public, "localhost")] {
        let error = fetch(client, &url(host)).await.unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    }
}

#[test]
fn reports_an_unusable_file_of_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let new = |trust| {
        let config = ClientConfig {
            trust,
            ..ClientConfig::default()
        };
        Client::new(config).map(|_| ())
    };

    let missing = new(TrustStore::CaFile("/nowhere/ca.pem".into()));
    assert!(
        matches!(missing, Err(SetupError::Unreadable { .. })),
        "{missing:?}"
    );
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let empty = new(trust(folder.path(), pem));
        assert!(
            matches!(empty, Err(SetupError::NoCertificates(_))),
            "{empty:?}"
        );
    }
    assert!(new(TrustStore::from_ca_file("")).is_ok());
}

#[tokio::test]
async fn refuses_addresses_outside_the_policy_before_connecting() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let port = server.address.port();
    let any = client(ClientConfig::default());
    // A connection of the other policy must not be used either.
    fetch(&any, &server.url("/")).await.unwrap();
    let public = any.with_addresses(AddressPolicy::PublicOnly);

    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "localhost"] {
        let error = fetch(&public, &format!("http://{host}:{port}/"))
            .await
            .unwrap_err();
        assert!(
            matches!(error, ClientError::RefusedAddress(_)),
            "{host} {error:?}"
        );
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn refuses_plain_http_to_other_hosts() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let client = client(ClientConfig {
        plain_http: PlainHttp::LoopbackOnly,
        ..ClientConfig::default()
    });
    assert_eq!(fetch(&client, &server.url("/")).await.unwrap(), "ok");
    // Documentation address of RFC 5737: if it were not refused, connecting would time out.
    let error = fetch(&client, "http://192.0.2.1/").await.unwrap_err();
    assert!(matches!(error, ClientError::PlainHttp(_)), "{error:?}");
}

#[tokio::test]
async fn rejects_urls_that_are_not_absolute_http() {
    let client = client(ClientConfig::default());
    for url in ["/path", "ftp://user:secret@host/", "https://a..b/"] {
        let error = fetch(&client, url).await.unwrap_err();
        assert!(
            matches!(error, ClientError::InvalidUrl(_)),
            "{url} {error:?}"
        );
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn limits_every_wait() {
    let short = Duration::from_millis(50);
    let limits = ClientLimits {
        connect_timeout: short,
        response_timeout: short,
        stall_timeout: short,
        ..ClientLimits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });

    let silent = TestServer::new("", After::KeepOpen).await;
    let error = fetch(&client, &silent.url("/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");

    // It accepts the connection, and then the TLS handshake gets no answer.
    let url = format!("https://{}/", silent.address);
    let error = fetch(&client, &url).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert!(chassis::format_chain(&error).contains("no connection within"));

    let stalling = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart";
    let stalling = TestServer::new(stalling, After::KeepOpen).await;
    let error = fetch(&client, &stalling.url("/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Exchange { .. }), "{error:?}");
}

#[tokio::test]
async fn limits_the_whole_exchange_of_a_fetch() {
    let silent = TestServer::new("", After::KeepOpen).await;
    let client = client(ClientConfig::default());
    let fetching = client.fetch(get(&silent.url("/")), Duration::from_millis(50));
    let error = within(fetching).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn limits_the_size_of_a_response_with_and_without_length() {
    let limits = ClientLimits {
        max_response_bytes: 1,
        ..ClientLimits::default()
    };
    let client = client(ClientConfig {
        limits,
        ..ClientConfig::default()
    });

    for response in [OK, "HTTP/1.1 200 OK\r\n\r\nok"] {
        let server = TestServer::new(response, After::Close).await;
        let error = fetch(&client, &server.url("/")).await.unwrap_err();
        assert!(
            matches!(error, ClientError::TooLarge { limit: 1, .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn reaches_https_through_a_tunnel_of_the_proxy() {
    let (pem, acceptor) = authority();
    let server = TestServer::new(OK, After::KeepOpen).await;
    let tls = terminate_tls(acceptor, server.address).await;
    let (proxy, heads) = connect_proxy("HTTP/1.1 200 OK\r\n\r\n", tls).await;
    let folder = tempfile::tempdir().unwrap();

    let client = client(ClientConfig {
        trust: trust(folder.path(), &pem),
        proxy: proxy_settings("HTTPS_PROXY", format!("http://user:pass@{proxy}")),
        ..ClientConfig::default()
    });
    // The name exists only at the proxy; the certificate is checked end to end.
    for _ in 0..2 {
        assert_eq!(fetch(&client, "https://server.test/a").await.unwrap(), "ok");
    }

    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 1, "the tunnel is kept open");
    assert!(
        heads[0].starts_with("CONNECT server.test:443 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    // `user:pass` in base64.
    assert!(
        heads[0].contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"),
        "{heads:?}"
    );

    let head = server.heads().remove(0);
    assert!(head.starts_with("GET /a HTTP/1.1\r\n"), "{head}");
    assert!(!head.to_ascii_lowercase().contains("proxy"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_connect_error() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let refusal = "HTTP/1.1 403 Forbidden\r\n\r\n";
    let (proxy, _) = connect_proxy(refusal, server.address).await;
    let client = client(ClientConfig {
        proxy: proxy_settings("HTTPS_PROXY", format!("http://{proxy}")),
        ..ClientConfig::default()
    });
    let error = fetch(&client, "https://server.test/").await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_proxy_forwards_plain_http() {
    let proxy = TestServer::new(OK, After::KeepOpen).await;
    let url = format!("http://user:pass@{}", proxy.address);
    let client = client(ClientConfig {
        proxy: proxy_settings("HTTP_PROXY", url),
        ..ClientConfig::default()
    });

    assert_eq!(
        fetch(&client, "http://server.test/a?b").await.unwrap(),
        "ok"
    );
    let head = proxy.heads().remove(0);
    assert!(
        head.starts_with("GET http://server.test/a?b HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("host: server.test\r\n"), "{head}");
    assert!(
        head.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn streams_a_response() {
    let server = TestServer::new(OK, After::KeepOpen).await;
    let client = client(ClientConfig::default());
    let response = within(client.send(get(&server.url("/")))).await.unwrap();
    assert_eq!(text(response.into_body()).await, "ok");
}
