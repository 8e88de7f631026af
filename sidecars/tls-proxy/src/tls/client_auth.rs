//! The verification of client certificates: by their authorities, then by the allow list.

use std::sync::Arc;

use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName,
    Error as TlsError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::{
    Config,
    allow::Allow,
    certificate::{CertificateError, ClientAuthorities, SettingError},
    config::ClientAuth,
    identity::Identity,
    spiffe::is_svid_of,
};

pub(super) fn build_verifier(
    config: &Config,
    clients: &ClientAuthorities,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<AllowListVerifier>, Vec<SettingError>> {
    let roots = Arc::clone(&clients.roots);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
    if !clients.revocation_lists.is_empty() {
        // A certificate is revoked only if a list names it; authorities without a list are accepted.
        builder = builder
            .with_crls(clients.revocation_lists.iter().cloned())
            .allow_unknown_revocation_status();
    }

    if config.client_auth == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }

    let inner = builder.build().map_err(|error| {
        let error = CertificateError::Unusable(error.to_string());
        vec![SettingError::new(clients.setting, error)]
    })?;
    Ok(Arc::new(AllowListVerifier {
        inner,
        allow: config.allow.clone(),
        trust_domain: config.spiffe_trust_domain.clone(),
    }))
}

/// Verifies client certificates: signed by an authority, in the trust domain and in the allow list.
#[derive(Debug)]
pub(super) struct AllowListVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    allow: Allow,
    /// The SPIFFE trust domain of all clients.
    trust_domain: Option<String>,
}

impl AllowListVerifier {
    fn admits(&self, owner: &Identity) -> bool {
        let domain = self.trust_domain.as_ref();
        domain.is_none_or(|domain| is_svid_of(domain, &owner.uris)) && self.allow.admits(owner)
    }
}

impl ClientCertVerifier for AllowListVerifier {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let verified = self.inner.verify_client_cert(certificate, chain, now)?;
        let owner = Identity::from_certificate(certificate);
        let is_allowed = owner.is_some_and(|owner| self.admits(&owner));
        if is_allowed {
            Ok(verified)
        } else {
            Err(TlsCertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
