//! Clients that show a certificate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use chassis::{HumanDuration, Secret};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::CertificateDer;
use support::{RunningProxy, Signer, client_config, connect, mirror, proxy, send_get, within};
use tls_proxy::{ClientAuth, Config};
use tokio::time::sleep;

/// A client certificate for a SPIFFE ID.
fn client(signer: &Signer, id: &str, serial: u64) -> (String, String) {
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "app");
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let id = SanType::URI(id.try_into().unwrap());
    params.subject_alt_names.push(id);
    signer.sign(params)
}

async fn asking(signer: &Signer, change: impl FnOnce(&mut Config)) -> RunningProxy {
    let authority = signer.root_pem.clone();
    proxy(mirror().await, |config| {
        config.client_ca = Secret::new(authority);
        change(config);
    })
    .await
}

async fn answer(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    identity: Option<&(String, String)>,
) -> std::io::Result<String> {
    let config = Arc::new(client_config(root, identity));
    send_get(connect(address, &config, "localhost").await?, "").await
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_authority_are_let_in() {
    let (signer, other) = (Signer::new(), Signer::new());
    let proxy = asking(&signer, |_| {}).await;
    let good = client(&signer, "spiffe://td/app", 1);
    let seen = answer(proxy.address, &proxy.root, Some(&good))
        .await
        .unwrap();

    assert!(seen.starts_with("HTTP/1.1 200 "), "{seen}");
    let error = answer(proxy.address, &proxy.root, None).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    let foreign = client(&other, "spiffe://td/app", 1);
    assert!(
        answer(proxy.address, &proxy.root, Some(&foreign))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn where_it_is_optional_the_app_sees_who_showed_one() {
    let signer = Signer::new();
    let proxy = asking(&signer, |config| config.client_auth = ClientAuth::Optional).await;
    let seen = answer(proxy.address, &proxy.root, None).await.unwrap();
    assert!(!seen.contains("x-forwarded-client-cert"), "{seen}");

    let good = client(&signer, "spiffe://td/app", 1);
    let seen = answer(proxy.address, &proxy.root, Some(&good))
        .await
        .unwrap();

    assert!(seen.contains("x-forwarded-client-cert: Hash="), "{seen}");
    assert!(
        seen.contains(";URI=spiffe://td/app;DNS=") || seen.contains(";URI=spiffe://td/app"),
        "{seen}"
    );
    assert!(seen.contains("Subject=\"CN=app\""), "{seen}");
}

#[tokio::test]
async fn nobody_can_say_of_himself_who_he_is() {
    let signer = Signer::new();
    for trust_forwarded in [false, true] {
        let proxy = asking(&signer, |config| {
            config.client_auth = ClientAuth::Optional;
            config.trust_forwarded = trust_forwarded;
        })
        .await;
        let config = Arc::new(client_config(&proxy.root, None));
        let stream = connect(proxy.address, &config, "localhost").await.unwrap();
        let spoofed = "X-Forwarded-Client-Cert: Hash=1\r\nx_forwarded_client_cert: Hash=1\r\nX-Forwarded.Client-Cert: Hash=1\r\n";
        let seen = send_get(stream, spoofed).await.unwrap();
        assert!(!seen.contains("Hash=1"), "{seen}");
    }
}

#[tokio::test]
async fn the_list_lets_in_whom_it_names() {
    let signer = Signer::new();
    let proxy = asking(&signer, |config| {
        config.allow.uris = vec!["spiffe://td/ns/*/app".into()];
    })
    .await;
    let named = client(&signer, "spiffe://td/ns/prod/app", 1);

    assert!(
        answer(proxy.address, &proxy.root, Some(&named))
            .await
            .is_ok()
    );

    let other = client(&signer, "spiffe://td/ns/prod/other", 2);
    let error = answer(proxy.address, &proxy.root, Some(&other))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
}

#[tokio::test]
async fn a_certificate_taken_back_while_the_proxy_runs_is_refused_and_so_is_its_session() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let list = folder.path().join("crl.pem");
    fs::write(&list, signer.revocation_list(99)).unwrap();

    let proxy = asking(&signer, |config| {
        config.client_crl_file = Some(list.clone());
        config.reload_interval = HumanDuration::from_millis(5);
        config.ticket_key = Secret::new("0".repeat(32));
    })
    .await;

    let (one, two) = (
        client(&signer, "spiffe://td/a", 1),
        client(&signer, "spiffe://td/b", 2),
    );
    let first: Arc<ClientConfig> = client_config(&proxy.root, Some(&one)).into();
    let second: Arc<ClientConfig> = client_config(&proxy.root, Some(&two)).into();
    let resumed = async |config: &Arc<ClientConfig>| {
        let stream = connect(proxy.address, config, "localhost").await?;
        let kind = stream.get_ref().1.handshake_kind();
        send_get(stream, "")
            .await
            .map(|_| kind == Some(HandshakeKind::Resumed))
    };

    for config in [&first, &second] {
        assert!(!resumed(config).await.unwrap());
        assert!(resumed(config).await.unwrap());
    }

    fs::write(&list, signer.revocation_list(1)).unwrap();
    within(async {
        while resumed(&first).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    assert!(
        !resumed(&second).await.unwrap(),
        "who may still come in shakes hands anew"
    );
    assert!(resumed(&second).await.unwrap());
}
