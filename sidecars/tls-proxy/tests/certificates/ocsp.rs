//! The OCSP response of a certificate.

use super::*;

/// A verifier that accepts every certificate and records the OCSP response.
#[derive(Debug, Default)]
struct OcspRecorder(Mutex<Vec<u8>>);

impl ServerCertVerifier for OcspRecorder {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[tokio::test]
async fn staples_the_ocsp_response() {
    let folder = tempfile::tempdir().unwrap();
    // The proxy does not parse the response, so any bytes will do.
    let file = folder.path().join("ocsp.der");
    fs::write(&file, b"an OCSP response").unwrap();

    let proxy = proxy(mirror().await, |config| config.ocsp_file = Some(file)).await;
    let recorder = Arc::new(OcspRecorder::default());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
        .with_no_client_auth();

    connect(proxy.address, &Arc::new(config), "localhost")
        .await
        .unwrap();
    assert_eq!(*recorder.0.lock().unwrap(), b"an OCSP response");
}
