//! The cipher suites and key exchange groups that the settings may name.

use rustls::{
    SupportedCipherSuite,
    crypto::{
        SupportedKxGroup,
        aws_lc_rs::{cipher_suite, kx_group},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cipher suite, by its name in the IANA registry; all have forward secrecy and authenticated encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the variants are names of the IANA registry")]
pub enum CipherSuite {
    #[serde(rename = "TLS_AES_128_GCM_SHA256")]
    Tls13Aes128,
    #[serde(rename = "TLS_AES_256_GCM_SHA384")]
    Tls13Aes256,
    #[serde(rename = "TLS_CHACHA20_POLY1305_SHA256")]
    Tls13Chacha20,
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")]
    EcdsaAes128,
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")]
    EcdsaAes256,
    #[serde(rename = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")]
    EcdsaChacha20,
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")]
    RsaAes128,
    #[serde(rename = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")]
    RsaAes256,
    #[serde(rename = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")]
    RsaChacha20,
}

impl CipherSuite {
    /// Returns whether the suite is one of TLS 1.3.
    pub(crate) fn is_tls13(self) -> bool {
        self.implementation().tls13().is_some()
    }

    /// Returns the implementation.
    pub(crate) fn implementation(self) -> SupportedCipherSuite {
        match self {
            Self::Tls13Aes128 => cipher_suite::TLS13_AES_128_GCM_SHA256,
            Self::Tls13Aes256 => cipher_suite::TLS13_AES_256_GCM_SHA384,
            Self::Tls13Chacha20 => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            Self::EcdsaAes128 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            Self::EcdsaAes256 => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            Self::EcdsaChacha20 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            Self::RsaAes128 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            Self::RsaAes256 => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            Self::RsaChacha20 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        }
    }
}

/// A key exchange group, by its name in the IANA registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the variants are names of the IANA registry")]
pub enum KeyExchangeGroup {
    #[serde(rename = "X25519MLKEM768")]
    X25519MlKem768,
    #[serde(rename = "SecP256r1MLKEM768")]
    P256MlKem768,
    #[serde(rename = "x25519")]
    X25519,
    #[serde(rename = "secp256r1")]
    P256,
    #[serde(rename = "secp384r1")]
    P384,
}

impl KeyExchangeGroup {
    /// Returns whether TLS 1.2 can use the group: the hybrid ones exist in TLS 1.3 only.
    pub(crate) fn is_for_tls12(self) -> bool {
        matches!(self, Self::X25519 | Self::P256 | Self::P384)
    }

    /// Returns the implementation.
    pub(crate) fn implementation(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => kx_group::X25519MLKEM768,
            Self::P256MlKem768 => kx_group::SECP256R1MLKEM768,
            Self::X25519 => kx_group::X25519,
            Self::P256 => kx_group::SECP256R1,
            Self::P384 => kx_group::SECP384R1,
        }
    }
}
