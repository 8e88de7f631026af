//! A certificate chain with its key and the names it is for.

use std::sync::Arc;

use rustls::{
    Error as TlsError, InconsistentKeys, SignatureAlgorithm,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

use super::{
    CertificateError, SettingError,
    source::{chain, read, read_file},
};
use crate::{allow::is_dns_pattern, config::CertificateSettings, identity::Identity};

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

impl LoadedCertificate {
    /// Returns the kind of the key.
    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        self.certified.key.algorithm()
    }
}

/// Loads a certificate with its key and its OCSP response.
pub(super) fn load_certificate(
    settings: CertificateSettings<'_>,
    provider: &CryptoProvider,
) -> Result<LoadedCertificate, Vec<SettingError>> {
    let mut parts = CertificateParts::read(settings, provider)?;
    parts.chain = order_chain(parts.chain, &parts.key);
    let owner = parts.chain.first().and_then(Identity::from_certificate);
    let mut certified = CertifiedKey::new(parts.chain, parts.key);
    // Not validated: the client does that, and a stale response must not stop the proxy.
    certified.ocsp = parts.ocsp;
    require_matching_key(&certified, settings).map_err(|error| vec![error])?;
    let names = server_names(settings, owner.as_ref()).map_err(|error| vec![error])?;

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
        secret: parts.secret,
    })
}

/// Returns the certificates with the one of the key first and each followed by its issuer.
///
/// A JSON secret has no order, and its members overlap: `ca_chain` comes before `certificate`, and
/// `fullchain` repeats it. Clients need the order (RFC 8446 section 4.4.2, RFC 5246 section 7.4.2).
fn order_chain(
    chain: Vec<CertificateDer<'static>>,
    key: &Arc<dyn SigningKey>,
) -> Vec<CertificateDer<'static>> {
    let mut rest: Vec<CertificateDer<'static>> = Vec::new();
    for certificate in chain {
        if !rest.contains(&certificate) {
            rest.push(certificate);
        }
    }

    let fits = |certificate: &CertificateDer<'static>| {
        let certified = CertifiedKey::new(vec![certificate.clone()], Arc::clone(key));
        certified.keys_match().is_ok()
    };
    // If the key fits none, `require_matching_key` reports it.
    let leaf = rest.iter().position(fits).unwrap_or(0);
    let mut ordered = vec![rest.remove(leaf)];
    while let Some(issuer) = ordered.last().and_then(|last| find_issuer(last, &rest)) {
        ordered.push(rest.remove(issuer));
    }
    // Such as a second chain to another root: clients ignore what they do not need.
    ordered.append(&mut rest);
    ordered
}

/// Returns the index of the certificate with the subject that issued `certificate`.
fn find_issuer(
    certificate: &CertificateDer<'_>,
    candidates: &[CertificateDer<'_>],
) -> Option<usize> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    candidates.iter().position(|candidate| {
        parse_x509_certificate(candidate).is_ok_and(|(_, candidate)| {
            candidate.subject().as_raw() == certificate.issuer().as_raw()
        })
    })
}

/// The contents of the texts and files of one certificate.
struct CertificateParts {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<dyn SigningKey>,
    /// The key in DER.
    secret: Vec<u8>,
    ocsp: Option<Vec<u8>>,
}

impl CertificateParts {
    /// Reads all parts and reports the errors of all.
    fn read(
        settings: CertificateSettings<'_>,
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<SettingError>> {
        let chain_setting = chain_setting(settings);
        let key_setting = key_setting(settings);

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
        match (chain, key, ocsp) {
            (Ok(chain), Ok((key, secret)), Ok(ocsp)) => Ok(Self {
                chain,
                key,
                secret,
                ocsp,
            }),
            (chain, key, ocsp) => {
                let errors = [
                    (chain_setting, chain.err()),
                    (key_setting, key.err()),
                    (settings.setting("ocsp_file"), ocsp.err()),
                ];
                let errors = errors
                    .into_iter()
                    .filter_map(|(setting, error)| Some(SettingError::new(setting, error?)));
                Err(errors.collect())
            }
        }
    }
}

/// Returns the name of the setting that the chain comes from.
fn chain_setting(settings: CertificateSettings<'_>) -> String {
    settings.setting(if settings.certificate_file.is_some() {
        "certificate_file"
    } else {
        "certificate"
    })
}

/// Returns the name of the setting that the key comes from, which may be that of the chain.
fn key_setting(settings: CertificateSettings<'_>) -> String {
    match (settings.key_file, settings.key.is_empty()) {
        (Some(_), _) => settings.setting("key_file"),
        (None, false) => settings.setting("key"),
        (None, true) => chain_setting(settings),
    }
}

fn require_matching_key(
    certified: &CertifiedKey,
    settings: CertificateSettings<'_>,
) -> Result<(), SettingError> {
    match certified.keys_match() {
        // `Unknown`: the signing key cannot export its public key, so it cannot be compared.
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(TlsError::InconsistentKeys(_)) => {
            let error = CertificateError::KeyMismatch;
            Err(SettingError::new(key_setting(settings), error))
        }
        Err(error) => {
            let error = CertificateError::InvalidCertificate(error);
            Err(SettingError::new(chain_setting(settings), error))
        }
    }
}

/// Returns the names in the settings, or those in the certificate.
fn server_names(
    settings: CertificateSettings<'_>,
    owner: Option<&Identity>,
) -> Result<Vec<String>, SettingError> {
    let names = if settings.names.is_empty() {
        owner.map(|owner| owner.dns.clone()).unwrap_or_default()
    } else {
        settings.names.to_vec()
    };

    if let Some(invalid) = settings.names.iter().find(|name| !is_dns_pattern(name)) {
        let error = CertificateError::InvalidName(invalid.clone());
        return Err(SettingError::new(settings.setting("names"), error));
    }

    // The default certificate needs no name.
    if settings.index.is_some() && names.is_empty() {
        let error = CertificateError::NoName;
        return Err(SettingError::new(chain_setting(settings), error));
    }
    Ok(names)
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
