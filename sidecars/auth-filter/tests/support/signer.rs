//! Generated keys, and tokens signed with them.

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A private key that signs tokens, and its key id.
pub struct Signer {
    pub kid: String,
    pub pair: Pair,
}

pub enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
    P521(Box<EcdsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl Signer {
    pub fn rsa(kid: &str) -> Self {
        Self::new(
            kid,
            Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        )
    }

    pub fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self::new(kid, Pair::P256(Box::new(pair)))
    }

    pub fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self::new(kid, Pair::P384(Box::new(pair)))
    }

    pub fn p521(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).unwrap();
        Self::new(kid, Pair::P521(Box::new(pair)))
    }

    pub fn ed25519(kid: &str) -> Self {
        Self::new(
            kid,
            Pair::Ed25519(Box::new(Ed25519KeyPair::generate().unwrap())),
        )
    }

    fn new(kid: &str, pair: Pair) -> Self {
        Self {
            kid: kid.to_owned(),
            pair,
        }
    }

    /// Returns the public key as a JSON Web Key without `alg`.
    pub fn jwk(&self) -> Value {
        let curve = |name: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            json!({"kty": "EC", "crv": name, "x": b64(x), "y": b64(y)})
        };
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_numbers(pair.public_key().as_ref());
                json!({"kty": "RSA", "n": b64(&n), "e": b64(&e)})
            }
            Pair::P256(pair) => curve("P-256", pair.public_key().as_ref()),
            Pair::P384(pair) => curve("P-384", pair.public_key().as_ref()),
            Pair::P521(pair) => curve("P-521", pair.public_key().as_ref()),
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())})
            }
        };

        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns the default algorithm of this key.
    pub fn alg(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
            Pair::P384(_) => "ES384",
            Pair::P521(_) => "ES512",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// Signs claims with an ordinary header.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.alg(), "typ": "JWT", "kid": self.kid});
        self.sign(&header, claims.to_string().as_bytes())
    }

    /// Signs a header and payload with the header's `alg` if the key supports it.
    pub fn sign(&self, header: &Value, payload: &[u8]) -> String {
        self.sign_text(
            &header.to_string(),
            payload,
            header["alg"].as_str().unwrap_or_default(),
        )
    }

    /// Signs a token with exactly this text as its header.
    pub fn sign_text(&self, header: &str, payload: &[u8], alg: &str) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(payload));
        let signature = self.signature(alg, signed.as_bytes());
        format!("{signed}.{}", b64(&signature))
    }

    /// Returns the signature only.
    pub fn signature(&self, alg: &str, signed: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(alg), &random, signed, &mut out)
                    .unwrap();
                out
            }
            Pair::P256(pair) | Pair::P384(pair) | Pair::P521(pair) => {
                pair.sign(&random, signed).unwrap().as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(signed).as_ref().to_vec(),
        }
    }

    /// Returns the private scalar of a P-256 key, for signing in another form.
    pub fn scalar(&self) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => pair.private_key().as_be_bytes().unwrap().as_ref().to_vec(),
            _ => panic!("not a P-256 key"),
        }
    }
}

pub fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns a key set of these keys.
pub fn jwks(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()})
}

fn rsa_encoding(alg: &str) -> &'static dyn RsaEncoding {
    match alg {
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

/// Returns modulus and exponent of a DER `RSAPublicKey`: a sequence of two integers.
fn rsa_numbers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (_, inner) = tlv(der);
    let (rest, n) = tlv(inner);
    let (_, e) = tlv(rest);
    let plain = |number: &[u8]| {
        number
            .iter()
            .copied()
            .skip_while(|byte| *byte == 0)
            .collect()
    };

    (plain(n), plain(e))
}

/// Returns the rest after the first DER element, and the contents of that element.
fn tlv(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=127 => (short as usize, 2),
        long => {
            let octets = (long & 0x7f) as usize;
            let length = der[2..2 + octets]
                .iter()
                .fold(0, |sum, byte| sum << 8 | *byte as usize);
            (length, 2 + octets)
        }
    };
    (&der[start + length..], &der[start..start + length])
}
