//! The choice of suites and groups, and of certificates by the kind of their key.

use rustls::{
    CipherSuite as SuiteId, RootCertStore,
    crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs::cipher_suite, aws_lc_rs::kx_group},
};
use tls_proxy::{CipherSuite, KeyExchangeGroup};

use super::*;

/// Returns the configuration of a client with these algorithms.
fn client_with(
    root: &CertificateDer<'static>,
    change: impl FnOnce(&mut CryptoProvider),
) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    change(&mut provider);
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
        .into()
}

async fn suite(proxy: &RunningProxy, config: &Arc<ClientConfig>) -> Option<SuiteId> {
    let stream = connect(proxy.address, config, "localhost").await.ok()?;
    Some(stream.get_ref().1.negotiated_cipher_suite()?.suite())
}

#[tokio::test]
async fn uses_only_the_configured_suites_in_their_order() {
    let proxy = proxy(mirror().await, |config| {
        config.cipher_suites = vec![
            CipherSuite::Tls13Aes256,
            CipherSuite::Tls13Aes128,
            CipherSuite::EcdsaAes256,
        ];
    })
    .await;
    let offer = |suites: &[rustls::SupportedCipherSuite]| {
        client_with(&proxy.root, |provider| {
            provider.cipher_suites = suites.to_vec();
        })
    };

    // The server's order, whatever the client prefers, even ChaCha20.
    let any = offer(&[
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ]);
    let expected = Some(SuiteId::TLS13_AES_256_GCM_SHA384);
    assert_eq!(suite(&proxy, &any).await, expected);
    let tls12 = offer(&[
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ]);
    let expected = Some(SuiteId::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384);
    assert_eq!(suite(&proxy, &tls12).await, expected);

    for refused in [
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ] {
        assert_eq!(suite(&proxy, &offer(&[refused])).await, None);
    }
}

#[tokio::test]
async fn uses_only_the_configured_key_exchange_groups() {
    let proxy = proxy(mirror().await, |config| {
        config.key_exchange_groups = vec![KeyExchangeGroup::P384, KeyExchangeGroup::P256];
    })
    .await;
    let group = async |groups: &[&'static dyn SupportedKxGroup]| {
        let config = client_with(&proxy.root, |provider| provider.kx_groups = groups.to_vec());
        let stream = connect(proxy.address, &config, "localhost").await.ok()?;
        Some(stream.get_ref().1.negotiated_key_exchange_group()?.name())
    };

    assert_eq!(
        group(&[kx_group::SECP256R1]).await,
        Some(NamedGroup::secp256r1)
    );
    // With a second ClientHello, since the first has a share of another group.
    let both = group(&[kx_group::X25519, kx_group::SECP384R1]).await;
    assert_eq!(both, Some(NamedGroup::secp384r1));
    assert_eq!(group(&[kx_group::X25519]).await, None);
    assert_eq!(group(&[kx_group::X25519MLKEM768]).await, None);
}

/// Returns the kind of the key in the certificate the proxy sends, `rsa` or `ecdsa`.
async fn key_kind(proxy: &RunningProxy, config: &Arc<ClientConfig>, name: &str) -> &'static str {
    let stream = connect(proxy.address, config, name).await.unwrap();
    let certificate = &stream.get_ref().1.peer_certificates().unwrap()[0];
    // The object identifier `rsaEncryption` (RFC 8017 appendix C), in DER.
    let oid = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    if certificate.windows(oid.len()).any(|part| part == oid) {
        "rsa"
    } else {
        "ecdsa"
    }
}

/// Restricts a client to suites of TLS 1.2 with one kind of certificate.
fn tls12(rsa: bool) -> impl FnOnce(&mut CryptoProvider) {
    move |provider| {
        provider.cipher_suites = if rsa {
            vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
        } else {
            vec![cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]
        };
    }
}

#[tokio::test]
async fn selects_the_certificate_by_the_kind_of_key_the_client_verifies() {
    let signer = Signer::new();
    let (ecdsa, rsa) = (
        signer.server(&["localhost"]),
        signer.rsa_server("localhost"),
    );
    // In both orders: the main certificate may be of either kind.
    for (first, second) in [(&ecdsa, &rsa), (&rsa, &ecdsa)] {
        let proxy = proxy(mirror().await, |config| {
            config.key = Secret::default();
            config.certificate = Secret::new(&**first);
            config.certificates = vec![extra(second.clone()), extra(signer.server(&["b.example"]))];
        })
        .await;
        let modern = client_with(&signer.root, |_| {});
        let old_rsa = client_with(&signer.root, tls12(true));
        let old_ecdsa = client_with(&signer.root, tls12(false));

        // ECDSA, because it is cheaper, for a client that verifies both.
        assert_eq!(key_kind(&proxy, &modern, "localhost").await, "ecdsa");
        assert_eq!(key_kind(&proxy, &old_rsa, "localhost").await, "rsa");
        assert_eq!(key_kind(&proxy, &old_ecdsa, "localhost").await, "ecdsa");
        // Another name has one certificate, which such a client cannot verify.
        let error = connect(proxy.address, &old_rsa, "b.example").await;
        assert!(error.is_err());
    }
}

#[test]
fn rejects_two_certificates_of_a_name_with_the_same_kind_of_key_or_other_protocols() {
    let signer = Signer::new();
    let message = |extras: Vec<ExtraCertificate>| {
        let config = Config {
            upstream: Some("http://127.0.0.1:1".into()),
            certificate: Secret::new(signer.server(&["a.example"])),
            certificates: extras,
            ..Config::default()
        };
        let result = Proxy::new(&config);
        result
            .err()
            .map_or_else(String::new, |error| error.to_string())
    };

    let rsa = || extra(signer.rsa_server("b.example"));
    assert_eq!(
        message(vec![extra(signer.server(&["b.example"])), rsa()]),
        ""
    );
    let twice = message(vec![rsa(), rsa()]);
    assert!(twice.contains("certificates[1]"), "{twice}");
    assert!(twice.contains("has the name `b.example`"), "{twice}");

    let mut other = rsa();
    other.alpn = vec!["http/1.1".into()];
    let other = message(vec![extra(signer.server(&["b.example"])), other]);
    assert!(other.contains("has other protocols in `alpn`"), "{other}");
}
