//! Supported signature algorithms, all of them asymmetric.

use std::fmt;

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, EdDSAParameters, RsaParameters, VerificationAlgorithm,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A supported JWS signature algorithm.
///
/// There is no value for `none` or HMAC, so a token cannot select them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    RS256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    RS384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    RS512,
    /// RSA PSS with SHA-256.
    PS256,
    /// RSA PSS with SHA-384.
    PS384,
    /// RSA PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::ES512,
        Self::EdDsa,
    ];

    /// Parses an `alg` value, which is case-sensitive; `Ed25519` (RFC 9864) is an alias of `EdDSA`.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Returns the `alg` value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Returns how the signature is verified.
    pub(super) fn check(self) -> Check {
        match self {
            Self::RS256 => Check::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::RS384 => Check::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::RS512 => Check::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::PS256 => Check::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::PS384 => Check::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::PS512 => Check::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            // FIXED is r‖s as RFC 7518 3.4 requires; the DER encoding used by X.509 is rejected.
            Self::ES256 => Check::Curve(Curve::P256, &signature::ECDSA_P256_SHA256_FIXED),
            Self::ES384 => Check::Curve(Curve::P384, &signature::ECDSA_P384_SHA384_FIXED),
            Self::ES512 => Check::Curve(Curve::P521, &signature::ECDSA_P521_SHA512_FIXED),
            Self::EdDsa => Check::Edwards(&signature::ED25519),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The verification of an algorithm, by the kind of key it needs.
pub(super) enum Check {
    Rsa(&'static RsaParameters),
    Curve(Curve, &'static EcdsaVerificationAlgorithm),
    Edwards(&'static EdDSAParameters),
}

/// An elliptic curve of RFC 7518.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// Returns the length of one coordinate in bytes, exact by RFC 7518 6.2.1.2.
    pub(super) const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// Returns the algorithm as the trait object with which aws-lc-rs parses keys.
pub(super) fn verification(check: &Check) -> &'static dyn VerificationAlgorithm {
    match check {
        Check::Rsa(parameters) => *parameters,
        Check::Curve(_, algorithm) => *algorithm,
        Check::Edwards(parameters) => *parameters,
    }
}
