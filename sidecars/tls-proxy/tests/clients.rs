//! Client certificates.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod support;

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use chassis::{HumanDuration, Secret};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType, SerialNumber};
use rustls::{ClientConfig, HandshakeKind};
use rustls_pki_types::CertificateDer;
use support::{RunningProxy, Signer, client_config, connect, mirror, proxy, send_get, within};
use tls_proxy::{ClientAuth, Config, ForwardClientCertificate};
use tokio::time::sleep;

/// Signs a client certificate for a SPIFFE ID.
fn client(signer: &Signer, id: &str, serial: u64) -> (String, String) {
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "app");
    params.serial_number = Some(SerialNumber::from(serial));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let id = SanType::URI(id.try_into().unwrap());
    params.subject_alt_names.push(id);
    signer.sign(params)
}

async fn proxy_with_client_ca(signer: &Signer, change: impl FnOnce(&mut Config)) -> RunningProxy {
    let authority = signer.root_pem.clone();
    proxy(mirror().await, |config| {
        config.client_ca = Secret::new(authority);
        change(config);
    })
    .await
}

async fn request(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    identity: Option<&(String, String)>,
) -> std::io::Result<String> {
    let config = Arc::new(client_config(root, identity));
    send_get(connect(address, &config, "localhost").await?, "").await
}

#[tokio::test]
async fn accepts_only_clients_with_a_certificate_of_the_authority() {
    let (signer, other) = (Signer::new(), Signer::new());
    let proxy = proxy_with_client_ca(&signer, |_| {}).await;
    let good = client(&signer, "spiffe://td/app", 1);
    let response = request(proxy.address, &proxy.root, Some(&good))
        .await
        .unwrap();

    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    // In TLS 1.3 the client learns of the rejection only when it reads.
    let error = request(proxy.address, &proxy.root, None).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");

    // The same identity, signed by another authority.
    let foreign = client(&other, "spiffe://td/app", 1);
    assert!(
        request(proxy.address, &proxy.root, Some(&foreign))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_optional_certificate_reaches_the_app_if_there_is_one() {
    let signer = Signer::new();
    let proxy =
        proxy_with_client_ca(&signer, |config| config.client_auth = ClientAuth::Optional).await;
    let response = request(proxy.address, &proxy.root, None).await.unwrap();
    assert!(!response.contains("x-forwarded-client-cert"), "{response}");

    let good = client(&signer, "spiffe://td/app", 1);
    let response = request(proxy.address, &proxy.root, Some(&good))
        .await
        .unwrap();

    assert!(
        response.contains("x-forwarded-client-cert: Hash="),
        "{response}"
    );
    assert!(
        response.contains(";URI=spiffe://td/app;DNS=") || response.contains(";URI=spiffe://td/app"),
        "{response}"
    );
    assert!(response.contains("Subject=\"CN=app\""), "{response}");
}

#[tokio::test]
async fn removes_spoofed_certificate_headers() {
    let signer = Signer::new();
    for trust_forwarded in [false, true] {
        let proxy = proxy_with_client_ca(&signer, |config| {
            config.client_auth = ClientAuth::Optional;
            config.trust_forwarded = trust_forwarded;
        })
        .await;
        let config = Arc::new(client_config(&proxy.root, None));
        let stream = connect(proxy.address, &config, "localhost").await.unwrap();
        // The spellings that apps may map to the same name.
        let spoofed = "X-Forwarded-Client-Cert: Hash=1\r\nx_forwarded_client_cert: Hash=1\r\nX-Forwarded.Client-Cert: Hash=1\r\n";
        let response = send_get(stream, spoofed).await.unwrap();
        assert!(!response.contains("Hash=1"), "{response}");
    }
}

#[tokio::test]
async fn accepts_only_clients_in_the_allow_list() {
    let signer = Signer::new();
    let proxy = proxy_with_client_ca(&signer, |config| {
        config.allow.uris = vec!["spiffe://td/ns/*/app".into()];
    })
    .await;
    let listed = client(&signer, "spiffe://td/ns/prod/app", 1);

    assert!(
        request(proxy.address, &proxy.root, Some(&listed))
            .await
            .is_ok()
    );

    let other = client(&signer, "spiffe://td/ns/prod/other", 2);
    let error = request(proxy.address, &proxy.root, Some(&other))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("AccessDenied"), "{error}");
}

#[tokio::test]
async fn a_revoked_certificate_is_rejected_even_in_a_resumed_session() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let list = folder.path().join("crl.pem");
    // Serial number 99 belongs to neither client.
    fs::write(&list, signer.revocation_list(99)).unwrap();

    let proxy = proxy_with_client_ca(&signer, |config| {
        config.client_crl_file = Some(list.clone());
        config.reload_interval = HumanDuration::from_millis(5);
        config.ticket_key = Secret::new("0".repeat(32));
    })
    .await;

    let (revoked, valid) = (
        client(&signer, "spiffe://td/a", 1),
        client(&signer, "spiffe://td/b", 2),
    );
    let first: Arc<ClientConfig> = client_config(&proxy.root, Some(&revoked)).into();
    let second: Arc<ClientConfig> = client_config(&proxy.root, Some(&valid)).into();
    let is_resumed = async |config: &Arc<ClientConfig>| {
        let stream = connect(proxy.address, config, "localhost").await?;
        let kind = stream.get_ref().1.handshake_kind();
        send_get(stream, "")
            .await
            .map(|_| kind == Some(HandshakeKind::Resumed))
    };

    // The second connection of each client resumes the session of its first.
    for config in [&first, &second] {
        assert!(!is_resumed(config).await.unwrap());
        assert!(is_resumed(config).await.unwrap());
    }

    fs::write(&list, signer.revocation_list(1)).unwrap();
    within(async {
        // Until the new list is loaded, the session is still accepted.
        while is_resumed(&first).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;

    assert!(
        !is_resumed(&second).await.unwrap(),
        "a valid client performs a full handshake"
    );
    assert!(is_resumed(&second).await.unwrap());
}

#[tokio::test]
async fn accepts_only_clients_of_an_allowed_organizational_unit() {
    let signer = Signer::new();
    let proxy = proxy_with_client_ca(&signer, |config| {
        config.allow.organizational_units = vec!["Payments".into()];
    })
    .await;
    let answer = async |names: &[(DnType, &str)]| {
        let mut params = CertificateParams::new([]).unwrap();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let client = signer.sign(params);
        request(proxy.address, &proxy.root, Some(&client)).await
    };

    let unit = |name| (DnType::OrganizationalUnitName, name);
    let response = answer(&[unit("Payments")]).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    // Another unit, none, and the name in other fields of the subject.
    assert!(answer(&[unit("Payments2")]).await.is_err());
    assert!(answer(&[]).await.is_err());
    let name = "Payments";
    assert!(answer(&[(DnType::CommonName, name)]).await.is_err());
    assert!(answer(&[(DnType::OrganizationName, name)]).await.is_err());
    // A common name that reads like a unit when the subject is written as text.
    let text = "app,OU=Payments";
    assert!(answer(&[(DnType::CommonName, text)]).await.is_err());
}

/// Returns the certificate in `Client-Cert`, in base64.
fn client_cert(response: &str) -> Option<&str> {
    let (_, rest) = response.split_once("\nclient-cert: :")?;
    Some(rest.split_once(":\n")?.0)
}

#[tokio::test]
async fn forwards_the_whole_certificate_and_never_a_spoofed_one() {
    let signer = Signer::new();
    let good = client(&signer, "spiffe://td/app", 1);
    let spoofed = "client-cert: :AAAA:\r\nClient_Cert: :AAAA:\r\nclient-cert-chain: :AAAA:\r\n";
    for form in [
        ForwardClientCertificate::Off,
        ForwardClientCertificate::ClientCert,
        ForwardClientCertificate::Xfcc,
    ] {
        let proxy = proxy_with_client_ca(&signer, |config| {
            config.client_auth = ClientAuth::Optional;
            config.forward_client_certificate = form;
        })
        .await;
        let send = async |identity: Option<&(String, String)>| {
            let config = Arc::new(client_config(&proxy.root, identity));
            let stream = connect(proxy.address, &config, "localhost").await.unwrap();
            send_get(stream, spoofed).await.unwrap()
        };

        let (with, without) = (send(Some(&good)).await, send(None).await);
        for response in [&with, &without] {
            assert!(!response.contains("AAAA:"), "{response}");
        }
        assert_eq!(client_cert(&without), None);
        // The lines of the PEM text, joined, are the base64 of the header.
        let base64: String = good
            .0
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let is_rfc = form == ForwardClientCertificate::ClientCert;
        assert_eq!(client_cert(&with), is_rfc.then_some(&*base64));
        let is_xfcc = form == ForwardClientCertificate::Xfcc;
        assert_eq!(with.contains(";Cert=\"-----BEGIN%20"), is_xfcc, "{with}");
    }
}

/// Returns a SPIFFE bundle with the authorities of these signers.
fn bundle(signers: &[&Signer]) -> String {
    let keys = signers.iter().map(|signer| {
        let base64: String = signer
            .root_pem
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        serde_json::json!({ "use": "x509-svid", "kty": "EC", "x5c": [base64] })
    });
    serde_json::json!({ "spiffe_sequence": 1, "keys": keys.collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn a_spiffe_bundle_admits_the_identities_of_its_trust_domain() {
    let (signer, other) = (Signer::new(), Signer::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.json");
    fs::write(&file, bundle(&[&signer])).unwrap();
    let proxy = proxy(mirror().await, |config| {
        config.spiffe_bundle_file = Some(file.clone());
        config.spiffe_trust_domain = Some("td".into());
        config.reload_interval = HumanDuration::from_millis(5);
    })
    .await;
    let is_accepted = async |signer: &Signer, id: &str| {
        let client = client(signer, id, 1);
        request(proxy.address, &proxy.root, Some(&client))
            .await
            .is_ok()
    };

    assert!(is_accepted(&signer, "spiffe://td/app").await);
    // The authority may sign anything, but only identities of its own trust domain count.
    assert!(!is_accepted(&signer, "spiffe://other/app").await);
    assert!(!is_accepted(&signer, "spiffe://td").await);
    assert!(!is_accepted(&signer, "https://td/app").await);
    assert!(!is_accepted(&other, "spiffe://td/app").await);

    // A rotation: both authorities, then the new one alone.
    fs::write(&file, bundle(&[&signer, &other])).unwrap();
    within(async {
        while !is_accepted(&other, "spiffe://td/app").await {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(is_accepted(&signer, "spiffe://td/app").await);
    // An unusable bundle changes nothing.
    fs::write(&file, "{}").unwrap();
    sleep(Duration::from_millis(50)).await;
    assert!(is_accepted(&other, "spiffe://td/app").await);
    fs::write(&file, bundle(&[&other])).unwrap();
    within(async {
        while is_accepted(&signer, "spiffe://td/app").await {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
