//! The certificate and its key, loaded and matched.

use std::{fs, io, path::PathBuf, sync::Arc};

use chassis::{Problem, Secret};
use rustls::{
    Error as TlsError, InconsistentKeys,
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{
    Config,
    pem::{self, Blocks},
};

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is neither PEM nor base64 of PEM.
    #[error("is neither PEM nor base64 of PEM")]
    NotPem,
    /// A PEM block is cut off or is not base64 inside.
    #[error("holds a broken `{0}` block")]
    BrokenBlock(String),
    /// The key is protected by a passphrase.
    #[error("holds an encrypted private key, and nobody is here to type the passphrase")]
    EncryptedKey,
    /// There is no certificate in the text.
    #[error("holds no certificate")]
    NoCertificate,
    /// There is no private key in the text.
    #[error("holds no private key")]
    NoKey,
    /// There is more than one private key.
    #[error("holds {0} private keys")]
    SeveralKeys(usize),
    /// The key is of no kind that can sign.
    #[error("holds a private key that cannot be used: {0}")]
    UnusableKey(TlsError),
    /// The certificate is not one rustls can read.
    #[error("holds a certificate that cannot be read: {0}")]
    UnusableCertificate(TlsError),
    /// The key belongs to another certificate.
    #[error("is not the key of the certificate")]
    Mismatch,
}

impl CertificateError {
    fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that this process can read",
            Self::NotPem => "set it to text that begins with -----BEGIN",
            Self::BrokenBlock(_) => "copy the whole block, from -----BEGIN to -----END",
            Self::EncryptedKey => "decrypt it first: openssl pkey -in encrypted.pem -out key.pem",
            Self::NoCertificate => "put the chain there, the leaf first",
            Self::NoKey => "put the key there, or behind the certificate with `key` left empty",
            Self::SeveralKeys(_) => "keep the one of the certificate",
            Self::UnusableKey(_) => "use an RSA key of 2048 bits or more, or P-256, P-384, Ed25519",
            Self::UnusableCertificate(_) => "use an X.509 certificate, the leaf first",
            Self::Mismatch => "put the leaf first in the chain and set the key that belongs to it",
        }
    }
}

/// A [`CertificateError`], and the setting it is about.
#[derive(Debug, thiserror::Error)]
#[error("`{setting}` {error}")]
pub(crate) struct Fault {
    setting: &'static str,
    error: CertificateError,
}

impl Fault {
    fn new(setting: &'static str, error: CertificateError) -> Self {
        Self { setting, error }
    }
}

impl From<Fault> for Problem {
    fn from(Fault { setting, error }: Fault) -> Self {
        let hint = error.hint();
        Self::new(setting, error.to_string(), hint)
    }
}

/// Loads what the settings name, and makes sure that the two belong together; the certificate and the key
/// are looked at each for itself, so that both faults are told.
pub(crate) fn load(
    config: &Config,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Vec<Fault>> {
    let chain_at = if config.certificate_file.is_some() {
        "certificate_file"
    } else {
        "certificate"
    };
    let key_at = match (&config.key_file, config.key.is_empty()) {
        (Some(_), _) => "key_file",
        (None, false) => "key",
        (None, true) => chain_at,
    };
    let text = read(config.certificate_file.as_ref(), &config.certificate);
    let (chain, key) = if key_at == chain_at {
        // One text with both: a fault of the text is told once.
        let both = text.map_err(|error| vec![Fault::new(chain_at, error)])?;
        (chain(both.certificates), key(both.keys, provider))
    } else {
        let apart = read(config.key_file.as_ref(), &config.key);
        (
            text.and_then(|blocks| chain(blocks.certificates)),
            apart.and_then(|blocks| key(blocks.keys, provider)),
        )
    };
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            let chain = chain.err().map(|error| Fault::new(chain_at, error));
            let key = key.err().map(|error| Fault::new(key_at, error));
            return Err(chain.into_iter().chain(key).collect());
        }
    };
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified.into()),
        Err(TlsError::InconsistentKeys(_)) => {
            Err(vec![Fault::new(key_at, CertificateError::Mismatch)])
        }
        Err(error) => Err(vec![Fault::new(
            chain_at,
            CertificateError::UnusableCertificate(error),
        )]),
    }
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
) -> Result<Arc<dyn SigningKey>, CertificateError> {
    let key = match keys.len() {
        0 => return Err(CertificateError::NoKey),
        1 => keys.remove(0),
        count => return Err(CertificateError::SeveralKeys(count)),
    };
    let key = provider.key_provider.load_private_key(key);
    key.map_err(CertificateError::UnusableKey)
}

fn read(file: Option<&PathBuf>, text: &Secret) -> Result<Blocks, CertificateError> {
    let Some(path) = file else {
        return pem::read(text.expose());
    };
    let text = fs::read_to_string(path).map_err(|source| CertificateError::Unreadable {
        path: path.clone(),
        source,
    })?;
    pem::read(&text)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Generated, KeyPair, generate_simple_self_signed};

    use super::*;

    fn generated() -> (String, String) {
        let Generated { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn loaded(certificate: &str, key: &str) -> Result<Arc<CertifiedKey>, String> {
        let config = Config {
            certificate: Secret::new(certificate),
            key: Secret::new(key),
            ..Config::default()
        };
        let loaded = load(&config, &rustls::crypto::aws_lc_rs::default_provider());
        loaded.map_err(|faults| {
            let problems = faults.into_iter().map(Problem::from);
            let sentences = problems.map(|problem| {
                assert!(!problem.hint.is_empty());
                format!("{} {}", problem.setting, problem.message)
            });
            sentences.collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn loads_a_key_beside_the_certificate_or_in_one_text_with_it() {
        let (certificate, key) = generated();
        assert!(loaded(&certificate, &key).is_ok());
        assert!(loaded(&format!("{certificate}{key}"), "").is_ok());
        assert!(loaded(&format!("{key}{certificate}"), "").is_ok());
    }

    #[test]
    fn refuses_the_key_of_another_certificate() {
        let (certificate, _) = generated();
        let other = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(
            loaded(&certificate, &other).unwrap_err(),
            "key is not the key of the certificate"
        );
    }

    #[test]
    fn says_which_half_is_missing_and_where() {
        let (certificate, key) = generated();
        assert_eq!(
            loaded(&certificate, "").unwrap_err(),
            "certificate holds no private key"
        );
        assert_eq!(
            loaded(&key, &key).unwrap_err(),
            "certificate holds no certificate"
        );
        assert_eq!(
            loaded(&certificate, &format!("{key}{key}")).unwrap_err(),
            "key holds 2 private keys"
        );
    }

    #[test]
    fn says_what_is_wrong_with_both_at_once() {
        assert_eq!(
            loaded("rubbish", "-----BEGIN EC PRIVATE KEY-----").unwrap_err(),
            "certificate is neither PEM nor base64 of PEM; key holds a broken `EC PRIVATE KEY` block"
        );
    }

    #[test]
    fn a_message_never_holds_the_key() {
        let (certificate, key) = generated();
        let broken = key.replace("-----END", "----END");
        assert_eq!(
            loaded(&certificate, &broken).unwrap_err(),
            "key holds a broken `PRIVATE KEY` block"
        );
    }
}
