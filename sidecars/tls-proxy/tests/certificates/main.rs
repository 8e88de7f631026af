//! Selection and replacement of certificates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod algorithms;
mod ocsp;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chassis::{HumanDuration, Secret};
use rustls::{
    ClientConfig, DigitallySignedStruct, HandshakeKind, NamedGroup, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use support::{
    RunningProxy, Signer, client_config, connect, get, h1, mirror, proxy, send_get, within,
};
use tls_proxy::{Config, ExtraCertificate, Identity, Proxy};
use tokio::time::sleep;

fn extra(pem: String) -> ExtraCertificate {
    ExtraCertificate {
        certificate: Secret::new(pem),
        ..ExtraCertificate::default()
    }
}

/// Returns the first DNS name in the certificate the proxy sends.
async fn served_name(
    proxy: &RunningProxy,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<String> {
    let stream = connect(proxy.address, config, name).await?;
    let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
    Ok(Identity::from_certificate(certificate)
        .unwrap()
        .dns
        .remove(0))
}

#[tokio::test]
async fn selects_the_certificate_by_server_name_and_falls_back_to_the_first() {
    let signer = Signer::new();
    let proxy = proxy(mirror().await, |config| {
        config.key = Secret::default();
        config.certificate = Secret::new(signer.server(&["first.example", "any.other.example"]));
        config.certificates = vec![
            extra(signer.server(&["b.example"])),
            extra(signer.server(&["*.c.example", "c.example"])),
        ];
    })
    .await;

    let config = Arc::new(client_config(&signer.root, None));
    for (name, expected) in [
        ("first.example", "first.example"),
        ("b.example", "b.example"),
        // DNS names are case-insensitive.
        ("B.Example", "b.example"),
        ("c.example", "*.c.example"),
        ("x.c.example", "*.c.example"),
        ("any.other.example", "first.example"),
    ] {
        assert_eq!(
            served_name(&proxy, &config, name).await.unwrap(),
            expected,
            "{name}"
        );
    }

    // A star matches one label, not two; the client rejects the default certificate.
    let error = served_name(&proxy, &config, "x.y.c.example")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn selects_the_protocols_by_certificate() {
    let signer = Signer::new();
    let mut only_h1 = extra(signer.server(&["old.example"]));
    only_h1.alpn = vec!["http/1.1".into()];

    let proxy = proxy(mirror().await, |config| {
        config.key = Secret::default();
        config.certificate = Secret::new(signer.server(&["new.example"]));
        config.certificates = vec![only_h1];
    })
    .await;

    let mut config = client_config(&signer.root, None);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    for (name, expected) in [("new.example", "h2"), ("old.example", "http/1.1")] {
        let stream = connect(proxy.address, &config, name).await.unwrap();
        let chosen = stream.get_ref().1.alpn_protocol().unwrap();
        assert_eq!(chosen, expected.as_bytes(), "{name}");
    }
}

/// Starts a proxy with a certificate file that is checked every 5 ms.
async fn proxy_with_file(file: &Path) -> RunningProxy {
    proxy(mirror().await, |config| {
        config.certificate = Secret::default();
        config.key = Secret::default();
        config.certificate_file = Some(file.to_owned());
        config.reload_interval = HumanDuration::from_millis(5);
    })
    .await
}

/// Waits until the proxy sends the certificate `names[1]` for the server name `names[0]`.
async fn wait_for_name(proxy: &RunningProxy, config: &Arc<ClientConfig>, names: &[&str]) {
    within(async {
        while !served_name(proxy, config, names[0])
            .await
            .is_ok_and(|name| name == names[1])
        {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_replaced_file_is_used_for_new_connections_and_keeps_open_ones() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("tls.pem");
    fs::write(&file, signer.server(&["one.example", "localhost"])).unwrap();

    let mut proxy = proxy_with_file(&file).await;
    proxy.root = signer.root.clone();
    let config = Arc::new(client_config(&signer.root, None));
    let mut client = h1(&proxy).await;

    wait_for_name(&proxy, &config, &["localhost", "one.example"]).await;
    fs::write(&file, signer.server(&["two.example", "localhost"])).unwrap();
    wait_for_name(&proxy, &config, &["localhost", "two.example"]).await;
    assert_eq!(
        within(client.send_request(get("/")))
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_swapped_symlink_is_followed() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    for name in ["one", "two"] {
        let path = folder.path().join(name);
        fs::create_dir(&path).unwrap();
        let pem = signer.server(&[&format!("{name}.example"), "localhost"]);
        fs::write(path.join("tls.pem"), pem).unwrap();
    }

    let current = folder.path().join("current");
    symlink("one", &current).unwrap();
    let proxy = proxy_with_file(&current.join("tls.pem")).await;
    let config = Arc::new(client_config(&signer.root, None));

    wait_for_name(&proxy, &config, &["localhost", "one.example"]).await;
    // Renamed over the old link, as Kubernetes and other agents replace files atomically.
    let next = folder.path().join("next");
    symlink("two", &next).unwrap();
    fs::rename(&next, &current).unwrap();
    wait_for_name(&proxy, &config, &["localhost", "two.example"]).await;
}

#[test]
fn an_invalid_pair_keeps_the_old_certificate_in_use() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let (chain, key) = (
        folder.path().join("chain.pem"),
        folder.path().join("key.pem"),
    );
    let pair = |name: &str| {
        let pem = signer.server(&[name]);
        let at = pem.find("-----BEGIN PRIVATE").unwrap();
        (pem[..at].to_owned(), pem[at..].to_owned())
    };
    let (one, two) = (pair("one.example"), pair("two.example"));

    fs::write(&chain, &one.0).unwrap();
    fs::write(&key, &one.1).unwrap();
    let config = Config {
        upstream: Some("http://127.0.0.1:1".into()),
        certificate_file: Some(chain.clone()),
        key_file: Some(key.clone()),
        ..Config::default()
    };

    let proxy = Proxy::new(&config).unwrap();
    let name = || proxy.certificate_expirations().remove(0).0;
    assert!(!proxy.reload().unwrap());

    for (invalid, reason) in [
        (&two.0[..], "does not match the certificate"),
        (
            &two.0[..two.0.len() / 2],
            "contains a malformed `CERTIFICATE` block",
        ),
        ("", "is neither PEM"),
    ] {
        fs::write(&chain, invalid).unwrap();
        let error = proxy.reload().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(proxy.last_reload_error().unwrap().contains(reason));
        assert_eq!(name(), "one.example");
    }

    // A missing file is an error like any other.
    fs::remove_file(&chain).unwrap();
    assert!(proxy.reload().is_err());
    fs::write(&chain, &two.0).unwrap();
    fs::write(&key, &two.1).unwrap();
    assert!(proxy.reload().unwrap());
    assert_eq!(name(), "two.example");
    assert_eq!(proxy.last_reload_error(), None);
}

/// A release requires `ROTATIONS=100`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_under_load_fail_no_request() {
    let rotations: usize = std::env::var("ROTATIONS").map_or(20, |text| text.parse().unwrap());
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("tls.pem");
    fs::write(&file, signer.server(&["at0.example", "localhost"])).unwrap();

    let proxy = Arc::new(proxy_with_file(&file).await);
    let config = Arc::new(client_config(&signer.root, None));
    let (done, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (proxy, config) = (Arc::clone(&proxy), Arc::clone(&config));
            let (done, answered) = (Arc::clone(&done), Arc::clone(&answered));
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let stream = connect(proxy.address, &config, "localhost").await.unwrap();
                    let answer = send_get(stream, "").await.unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    for at in 1..=rotations {
        let name = format!("at{at}.example");
        // Like an agent that does not rename: the file is truncated, then written.
        fs::write(&file, "").unwrap();
        sleep(Duration::from_millis(7)).await;
        fs::write(&file, signer.server(&[&name, "localhost"])).unwrap();
        wait_for_name(&proxy, &config, &["localhost", &name]).await;
    }

    done.store(true, Ordering::Relaxed);
    for client in clients {
        within(client).await.unwrap();
    }

    // The clients did run during the rotations.
    assert!(answered.load(Ordering::Relaxed) > rotations);
}

#[tokio::test]
async fn the_development_certificate_is_valid_for_localhost() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let proxy = proxy(mirror().await, |config| {
        config.certificate = Secret::default();
        config.key = Secret::default();
        config.dev_ca_file = Some(ca.clone());
    })
    .await;

    let root = CertificateDer::from_pem_slice(&fs::read(&ca).unwrap()).unwrap();
    // The authority's key must not be stored: it could sign certificates for any name.
    assert!(!fs::read_to_string(&ca).unwrap().contains("PRIVATE KEY"));
    let config = Arc::new(client_config(&root, None));
    for name in ["localhost", "127.0.0.1"] {
        let stream = connect(proxy.address, &config, name).await.unwrap();
        assert!(
            send_get(stream, "")
                .await
                .unwrap()
                .starts_with("HTTP/1.1 200 ")
        );
    }
}

async fn kind(proxy: &RunningProxy, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut stream = connect(proxy.address, config, "localhost").await.unwrap();
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    // The ticket arrives after the handshake, with the response.
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    let _ = within(tokio::io::AsyncReadExt::read(&mut stream, &mut byte)).await;
    kind
}

#[tokio::test]
async fn a_session_is_resumed_at_another_task_with_the_same_ticket_key() {
    let signer = Signer::new();
    let pem = signer.server(&["localhost"]);
    let task = async |key: &str| {
        let (pem, key) = (pem.clone(), key.to_owned());
        proxy(mirror().await, |config| {
            config.certificate = Secret::new(pem);
            config.key = Secret::default();
            config.ticket_key = Secret::new(key);
        })
        .await
    };

    let (key, other) = ("0".repeat(32), "1".repeat(32));
    let (one, two, foreign) = (task(&key).await, task(&key).await, task(&other).await);
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(signer.root.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);

        assert_eq!(kind(&one, &config).await, HandshakeKind::Full);
        assert_eq!(kind(&two, &config).await, HandshakeKind::Resumed);
        assert_eq!(kind(&foreign, &config).await, HandshakeKind::Full);
    }
}

#[tokio::test]
async fn prefers_a_post_quantum_key_exchange() {
    let proxy = proxy(mirror().await, |_| {}).await;
    let config = Arc::new(client_config(&proxy.root, None));
    let stream = connect(proxy.address, &config, "localhost").await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
}
