//! Authorities, of client certificates and of the next hop, and revocation lists.

use std::{path::Path, sync::Arc};

use chassis::Secret;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::{
    CertificateError, SettingError,
    source::{chain, read, read_file},
};
use crate::{Config, spiffe::parse_bundle};

/// The authorities of client certificates and their revocation lists.
#[derive(Debug)]
pub(crate) struct ClientAuthorities {
    pub(crate) setting: &'static str,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    pub(crate) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
}

pub(super) fn load_client_authorities(
    config: &Config,
) -> Result<ClientAuthorities, Vec<SettingError>> {
    let setting = if config.spiffe_bundle_file.is_some() {
        "spiffe_bundle_file"
    } else if config.client_ca_file.is_some() {
        "client_ca_file"
    } else {
        "client_ca"
    };

    let mut errors = Vec::new();
    let authorities = match &config.spiffe_bundle_file {
        Some(path) => read_file(path).and_then(|bytes| parse_bundle(&bytes)),
        None => read(config.client_ca_file.as_deref(), &config.client_ca)
            .and_then(|blocks| chain(blocks.certificates)),
    };
    let roots = authorities
        .and_then(|authorities| Ok((roots(&authorities)?, authorities)))
        .map_err(|error| errors.push(SettingError::new(setting, error)));
    let revocation_lists = config
        .client_crl_file
        .as_deref()
        .map_or(Ok(Vec::new()), |path| {
            let blocks = read(Some(path), &Secret::default())?;
            if blocks.revocation_lists.is_empty() {
                return Err(CertificateError::NoRevocationList);
            }
            Ok(blocks.revocation_lists)
        });

    let revocation_lists =
        revocation_lists.map_err(|error| errors.push(SettingError::new("client_crl_file", error)));
    match (roots, revocation_lists) {
        (Ok((roots, authorities)), Ok(revocation_lists)) => Ok(ClientAuthorities {
            setting,
            roots: roots.into(),
            authorities,
            revocation_lists,
        }),
        _ => Err(errors),
    }
}

/// Loads the authorities in a file; without a file, returns the public ones.
pub(crate) fn upstream_roots(file: Option<&Path>) -> Result<RootCertStore, SettingError> {
    let Some(path) = file else {
        // An image `FROM scratch` has no trust store, so the public authorities are compiled in.
        return Ok(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
    };
    read(Some(path), &Secret::default())
        .and_then(|blocks| chain(blocks.certificates))
        .and_then(|authorities| roots(&authorities))
        .map_err(|error| SettingError::new("upstream_ca_file", error))
}

fn roots(authorities: &[CertificateDer<'static>]) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots
            .add(authority.clone())
            .map_err(CertificateError::InvalidAuthority)?;
    }
    Ok(roots)
}
