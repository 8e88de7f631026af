//! A certificate chain with its key and the names it is for.

use std::sync::Arc;

use rustls::{
    Error as TlsError, InconsistentKeys,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::PrivateKeyDer;

use super::{
    CertificateError, SettingError,
    source::{chain, read, read_file},
};
use crate::{
    config::CertificateSettings,
    identity::{Identity, is_dns_pattern},
};

/// A certificate chain with its key.
#[derive(Debug)]
pub(crate) struct LoadedCertificate {
    pub(crate) certified: Arc<CertifiedKey>,
    /// The server names it is for, in lower case.
    pub(crate) names: Vec<String>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) not_after: Option<i64>,
    /// The private key in DER, to detect changes.
    pub(crate) secret: Vec<u8>,
}

pub(super) fn load_certificate(
    settings: CertificateSettings<'_>,
    provider: &CryptoProvider,
) -> Result<LoadedCertificate, Vec<SettingError>> {
    let chain_setting = settings.setting(if settings.certificate_file.is_some() {
        "certificate_file"
    } else {
        "certificate"
    });
    let key_setting = match (settings.key_file, settings.key.is_empty()) {
        (Some(_), _) => settings.setting("key_file"),
        (None, false) => settings.setting("key"),
        (None, true) => chain_setting.clone(),
    };

    let text = read(settings.certificate_file, settings.certificate);
    let (chain, key) = if key_setting == chain_setting {
        // One text contains both, so an error of the text is reported once.
        let blocks = text.map_err(|error| vec![SettingError::new(&chain_setting, error)])?;
        (chain(blocks.certificates), key(blocks.keys, provider))
    } else {
        let key_blocks = read(settings.key_file, settings.key);
        (
            text.and_then(|blocks| chain(blocks.certificates)),
            key_blocks.and_then(|blocks| key(blocks.keys, provider)),
        )
    };

    let ocsp = settings.ocsp_file.map(read_file).transpose();
    let (chain, (key, secret), ocsp) = match (chain, key, ocsp) {
        (Ok(chain), Ok(key), Ok(ocsp)) => (chain, key, ocsp),
        (chain, key, ocsp) => {
            let chain = chain
                .err()
                .map(|error| SettingError::new(&chain_setting, error));
            let key = key
                .err()
                .map(|error| SettingError::new(&key_setting, error));
            let ocsp_setting = settings.setting("ocsp_file");
            let ocsp = ocsp
                .err()
                .map(|error| SettingError::new(ocsp_setting, error));
            return Err(chain.into_iter().chain(key).chain(ocsp).collect());
        }
    };

    let owner = chain.first().and_then(Identity::from_certificate);
    let mut certified = CertifiedKey::new(chain, key);
    // Not validated: the client does that, and a stale response must not stop the proxy.
    certified.ocsp = ocsp;

    // `Unknown`: the signing key cannot export its public key, so it cannot be compared.
    match certified.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(TlsError::InconsistentKeys(_)) => {
            return Err(vec![SettingError::new(
                key_setting,
                CertificateError::KeyMismatch,
            )]);
        }
        Err(error) => {
            let error = CertificateError::InvalidCertificate(error);
            return Err(vec![SettingError::new(chain_setting, error)]);
        }
    }

    let names_in_certificate = owner.as_ref().map(|owner| owner.dns.clone());
    let names = if settings.names.is_empty() {
        names_in_certificate.unwrap_or_default()
    } else {
        settings.names.to_vec()
    };

    if let Some(invalid) = settings.names.iter().find(|name| !is_dns_pattern(name)) {
        let error = CertificateError::InvalidName(invalid.clone());
        return Err(vec![SettingError::new(settings.setting("names"), error)]);
    }

    // The default certificate needs no name.
    if settings.index.is_some() && names.is_empty() {
        return Err(vec![SettingError::new(
            chain_setting,
            CertificateError::NoName,
        )]);
    }
    Ok(LoadedCertificate {
        certified: certified.into(),
        // DNS names are case-insensitive, and the lookup is by the lower-case name.
        names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        alpn: settings
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect(),
        not_after: owner.map(|owner| owner.not_after),
        secret,
    })
}

fn key(
    mut keys: Vec<PrivateKeyDer<'static>>,
    provider: &CryptoProvider,
) -> Result<(Arc<dyn SigningKey>, Vec<u8>), CertificateError> {
    let key = match keys.len() {
        0 => return Err(CertificateError::NoKey),
        1 => keys.remove(0),
        count => return Err(CertificateError::MultipleKeys(count)),
    };
    let secret = key.secret_der().to_vec();
    let key = provider.key_provider.load_private_key(key);
    Ok((key.map_err(CertificateError::InvalidKey)?, secret))
}
