//! Loading of certificates, keys, authorities and revocation lists, and its errors.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use chassis::{Problem, Secret};
use rustls::{
    Error as TlsError, InconsistentKeys, RootCertStore,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::{
    Config,
    config::CertificateSettings,
    identity::{Identity, is_dns_pattern},
    pem::{self, PemBlocks},
};

/// The error of loading a certificate, key, authority or revocation list.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The text is neither PEM nor base64 of PEM.
    #[error("is neither PEM nor base64 of PEM")]
    NotPem,
    /// A PEM block is truncated or not base64.
    #[error("contains a malformed `{0}` block")]
    BrokenBlock(String),
    /// The key is protected by a passphrase.
    #[error("contains an encrypted private key, which is not supported")]
    EncryptedKey,
    /// There is no certificate in the text.
    #[error("contains no certificate")]
    NoCertificate,
    /// There is no private key in the text.
    #[error("contains no private key")]
    NoKey,
    /// There is more than one private key.
    #[error("contains {0} private keys")]
    MultipleKeys(usize),
    /// The key cannot be used for signing.
    #[error("contains a private key that cannot be used: {0}")]
    InvalidKey(TlsError),
    /// The certificate cannot be parsed.
    #[error("contains a certificate that cannot be parsed: {0}")]
    InvalidCertificate(TlsError),
    /// The key does not match the certificate.
    #[error("does not match the certificate")]
    KeyMismatch,
    /// There is no revocation list in the text.
    #[error("contains no revocation list")]
    NoRevocationList,
    /// A certificate cannot be an authority.
    #[error("contains a certificate that cannot be an authority: {0}")]
    InvalidAuthority(TlsError),
    /// rustls rejected the configuration.
    #[error("cannot be used for TLS: {0}")]
    Unusable(String),
    /// An additional certificate has no name.
    #[error("has no name: the certificate contains none, and `names` is empty")]
    NoName,
    /// Two certificates have the same name.
    #[error("has the name `{0}` of another certificate")]
    DuplicateName(String),
    /// A name is not a DNS name.
    #[error("contains `{0}`, which is not a DNS name")]
    InvalidName(String),
}

impl CertificateError {
    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "set the path of a file that this process can read",
            Self::NotPem => "set it to text that begins with -----BEGIN",
            Self::BrokenBlock(_) => "copy the whole block, from -----BEGIN to -----END",
            Self::EncryptedKey => "decrypt it first: openssl pkey -in encrypted.pem -out key.pem",
            Self::NoCertificate => "add the chain, leaf first",
            Self::NoKey => "add the key, or append it to the certificate and leave `key` unset",
            Self::MultipleKeys(_) => "keep only the key of the certificate",
            Self::InvalidKey(_) => "use an RSA key of 2048 bits or more, or P-256, P-384, Ed25519",
            Self::InvalidCertificate(_) => "use X.509 certificates, leaf first",
            Self::KeyMismatch => "put the leaf first in the chain and set its key",
            Self::NoRevocationList => "add the list as PEM: -----BEGIN X509 CRL-----",
            Self::InvalidAuthority(_) => "use certificates of authorities, not of servers",
            Self::Unusable(_) => "inspect it with: openssl x509 -text, or openssl crl -text",
            Self::NoName => "set `names` next to it",
            Self::DuplicateName(_) => "keep one certificate per name",
            Self::InvalidName(_) => "write www.example.com or *.example.com",
        }
    }
}

/// A [`CertificateError`] with the setting that caused it.
#[derive(Debug, thiserror::Error)]
#[error("`{setting}` {error}")]
pub(crate) struct SettingError {
    setting: String,
    error: CertificateError,
}

impl SettingError {
    pub(crate) fn new(setting: impl Into<String>, error: CertificateError) -> Self {
        Self {
            setting: setting.into(),
            error,
        }
    }
}

impl From<SettingError> for Problem {
    fn from(SettingError { setting, error }: SettingError) -> Self {
        let hint = error.hint();
        Self::new(setting, error.to_string(), hint)
    }
}

/// The loaded and validated files and secrets, before a configuration is built from them.
#[derive(Debug)]
pub(crate) struct Material {
    /// The certificates; the first is the default for clients with no or an unknown server name.
    pub(crate) certificates: Vec<LoadedCertificate>,
    /// The authorities of client certificates.
    pub(crate) clients: Option<ClientAuthorities>,
}

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

/// The authorities of client certificates and their revocation lists.
#[derive(Debug)]
pub(crate) struct ClientAuthorities {
    pub(crate) setting: &'static str,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) authorities: Vec<CertificateDer<'static>>,
    pub(crate) revocation_lists: Vec<CertificateRevocationListDer<'static>>,
}

impl Material {
    /// Loads everything and reports all errors, not only the first.
    pub(crate) fn load(
        config: &Config,
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<SettingError>> {
        let mut errors = Vec::new();
        let mut certificates = Vec::new();
        if config.has_certificate() {
            let own = CertificateSettings::from_config(config);
            let certificate = load_certificate(own, provider);
            certificates.extend(certificate.map_err(|found| errors.extend(found)));
        }

        for settings in CertificateSettings::extra(config) {
            let certificate = load_certificate(settings, provider);
            certificates.extend(certificate.map_err(|found| errors.extend(found)));
        }

        // The default certificate may share names: an additional one takes precedence.
        let mut names: Vec<&str> = Vec::new();
        for (at, certificate) in certificates.iter().enumerate().skip(1) {
            for name in &certificate.names {
                if names.contains(&name.as_str()) {
                    let setting = format!("certificates[{}]", at - 1);
                    errors.push(SettingError::new(
                        setting,
                        CertificateError::DuplicateName(name.clone()),
                    ));
                }
                names.push(name);
            }
        }

        let clients = if config.asks_clients() {
            load_client_authorities(config)
                .map_err(|found| errors.extend(found))
                .ok()
        } else {
            None
        };

        if errors.is_empty() {
            Ok(Self {
                certificates,
                clients,
            })
        } else {
            Err(errors)
        }
    }
}

fn load_certificate(
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

fn load_client_authorities(config: &Config) -> Result<ClientAuthorities, Vec<SettingError>> {
    let setting = if config.client_ca_file.is_some() {
        "client_ca_file"
    } else {
        "client_ca"
    };

    let mut errors = Vec::new();
    let roots = read(config.client_ca_file.as_deref(), &config.client_ca)
        .and_then(|blocks| chain(blocks.certificates))
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

fn chain(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate);
    }
    Ok(certificates)
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

fn read(file: Option<&Path>, text: &Secret) -> Result<PemBlocks, CertificateError> {
    let Some(path) = file else {
        return pem::parse(text.expose());
    };
    let text = String::from_utf8(read_file(path)?).map_err(|_| CertificateError::NotPem)?;
    pem::parse(&text)
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as GeneratedKey, KeyPair, generate_simple_self_signed};

    use super::*;
    use crate::ExtraCertificate;

    fn generate() -> (String, String) {
        let GeneratedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn load(certificate: &str, key: &str) -> Result<Material, String> {
        load_config(&Config {
            certificate: Secret::new(certificate),
            key: Secret::new(key),
            ..Config::default()
        })
    }

    fn load_config(config: &Config) -> Result<Material, String> {
        let result = Material::load(config, &rustls::crypto::aws_lc_rs::default_provider());
        result.map_err(|errors| {
            let problems = errors.into_iter().map(Problem::from);
            let messages = problems.map(|problem| {
                // Every error must say what to do.
                assert!(!problem.hint.is_empty());
                format!("{} {}", problem.setting, problem.message)
            });
            messages.collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn loads_a_key_beside_the_certificate_or_in_one_text_with_it() {
        let (certificate, key) = generate();
        assert!(load(&certificate, &key).is_ok());
        assert!(load(&format!("{certificate}{key}"), "").is_ok());
        assert!(load(&format!("{key}{certificate}"), "").is_ok());
    }

    #[test]
    fn refuses_the_key_of_another_certificate() {
        let (certificate, _) = generate();
        let other = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(
            load(&certificate, &other).unwrap_err(),
            "key does not match the certificate"
        );
    }

    #[test]
    fn reports_which_half_is_missing_and_in_which_setting() {
        let (certificate, key) = generate();
        assert_eq!(
            load(&certificate, "").unwrap_err(),
            "certificate contains no private key"
        );
        assert_eq!(
            load(&key, &key).unwrap_err(),
            "certificate contains no certificate"
        );

        assert_eq!(
            load(&certificate, &format!("{key}{key}")).unwrap_err(),
            "key contains 2 private keys"
        );
    }

    #[test]
    fn reports_all_errors_of_all_certificates() {
        let (certificate, key) = generate();
        let extra = |certificate: &str, key: &str, names: &[&str]| ExtraCertificate {
            certificate: Secret::new(certificate),
            key: Secret::new(key),
            names: names.iter().map(ToString::to_string).collect(),
            ..ExtraCertificate::default()
        };

        let config = Config {
            certificate: Secret::new("nonsense"),
            key: Secret::new(&*key),
            certificates: vec![
                extra(&certificate, "nonsense", &[]),
                extra(&certificate, &key, &["a b"]),
            ],
            // Errors of the authorities are reported together with those of the certificates.
            client_ca_file: Some("/nowhere/ca.pem".into()),
            client_crl_file: Some("/nowhere/crl.pem".into()),
            ..Config::default()
        };

        let found = load_config(&config).unwrap_err();
        for part in [
            "certificate is neither PEM nor base64 of PEM",
            "certificates[0].key is neither PEM",
            "certificates[1].names contains `a b`",
            "client_ca_file `/nowhere/ca.pem` cannot be read",
            "client_crl_file `/nowhere/crl.pem` cannot be read",
        ] {
            assert!(found.contains(part), "{part} is missing in {found}");
        }

        let duplicate = Config {
            certificate: Secret::new(&*certificate),
            key: Secret::new(&*key),
            certificates: vec![
                // The same name in another case.
                extra(&certificate, &key, &["A.example"]),
                extra(&certificate, &key, &["a.example"]),
            ],
            ..Config::default()
        };

        let found = load_config(&duplicate).unwrap_err();
        assert!(
            found.starts_with("certificates[1] has the name `a.example`"),
            "{found}"
        );
    }
}
