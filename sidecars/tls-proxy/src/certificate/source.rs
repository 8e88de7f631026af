//! The text of a setting or of a file, and the blocks in it.

use std::{fs, path::Path};

use chassis::Secret;
use rustls_pki_types::CertificateDer;

use super::CertificateError;
use crate::pem::{self, PemBlocks};

pub(super) fn read(file: Option<&Path>, text: &Secret) -> Result<PemBlocks, CertificateError> {
    let Some(path) = file else {
        return pem::parse(text.expose());
    };
    let text = String::from_utf8(read_file(path)?).map_err(|_| CertificateError::NotPem)?;
    pem::parse(&text)
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn chain(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    Ok(certificates)
}
