//! The errors of loading, with the settings that caused them.

use std::{io, path::PathBuf};

use chassis::Problem;
use rustls::Error as TlsError;

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
    /// The file is not a SPIFFE bundle with authorities.
    #[error("is not a SPIFFE bundle for X.509: {0}")]
    InvalidBundle(&'static str),
    /// A certificate cannot be an authority.
    #[error("contains a certificate that cannot be an authority: {0}")]
    InvalidAuthority(TlsError),
    /// rustls rejected the configuration.
    #[error("cannot be used for TLS: {0}")]
    Unusable(String),
    /// An additional certificate has no name.
    #[error("has no name: the certificate contains none, and `names` is empty")]
    NoName,
    /// Two certificates have the same name and the same kind of key.
    #[error("has the name `{0}` of another certificate")]
    DuplicateName(String),
    /// Two certificates of a name have different ALPN protocols.
    #[error("has other protocols in `alpn` than another certificate of `{0}`")]
    OtherAlpn(String),
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
            Self::InvalidBundle(_) => "write it with: spire-server bundle show -format spiffe",
            Self::InvalidAuthority(_) => "use certificates of authorities, not of servers",
            Self::Unusable(_) => "inspect it with: openssl x509 -text, or openssl crl -text",
            Self::NoName => "set `names` next to it",
            Self::DuplicateName(_) => "keep one certificate per name and kind of key (ECDSA, RSA)",
            Self::OtherAlpn(_) => {
                "set the same `alpn`: it is chosen by the name, before the certificate"
            }
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
