//! The certificate authorities that a client trusts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::SetupError;

/// The certificate authorities that a client trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustStore {
    /// The public authorities that Mozilla trusts, built into the program.
    PublicRoots,
    /// Only those in a PEM file.
    CaFile(PathBuf),
    /// The public authorities and those in a PEM file.
    PublicRootsAndCaFile(PathBuf),
}

impl TrustStore {
    /// Returns the trust store of a `…_ca_file` that replaces the public authorities; empty for none.
    pub fn from_ca_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        if path.as_os_str().is_empty() {
            Self::PublicRoots
        } else {
            Self::CaFile(path)
        }
    }

    /// Returns the TLS configuration of a client with this trust store.
    pub(super) fn tls_config(&self) -> Result<rustls::ClientConfig, SetupError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        // The connection speaks HTTP/1.1 only, so it offers nothing else.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, SetupError> {
        let mut roots = RootCertStore::empty();
        if matches!(self, Self::PublicRoots | Self::PublicRootsAndCaFile(_)) {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Self::CaFile(path) | Self::PublicRootsAndCaFile(path) = self {
            add_file(&mut roots, path)?;
        }
        Ok(roots)
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), SetupError> {
    let unreadable = |source| SetupError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect();

    // Bundles of a distribution contain old certificates that rustls cannot parse; one of them must not
    // make the others unusable.
    let (added, ignored) = roots.add_parsable_certificates(certificates.map_err(unreadable)?);
    if added == 0 {
        return Err(SetupError::NoCertificates(path.to_owned()));
    }
    if ignored > 0 {
        let path = path.display();
        tracing::warn!(%path, ignored, "certificates of a CA file are unusable");
    }
    Ok(())
}
