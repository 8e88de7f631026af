//! Public keys from members of a JSON Web Key Set.

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::algorithm::{Algorithm, Check, Curve, verification};
use super::roca;

/// A public key and the algorithms it may be used with.
///
/// Only created by [`Key::from_jwk`], so every key has passed its checks.
#[derive(Debug)]
pub struct Key {
    id: Option<String>,
    /// The issuers the key is for, if it says so.
    issuers: Vec<String>,
    /// The modulus and exponent, or the point: what makes two published keys the same key.
    material: Vec<u8>,
    /// One parsed parsed_key per algorithm: which algorithm a key is for was settled before any token came.
    parsed_keys: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Returns the text of the member `issuer`; another type equals no issuer.
fn issuer_text(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A published JSON Web Key (RFC 7517, 7518, 8037).
#[derive(Clone, Debug, Deserialize)]
pub struct Jwk {
    kty: String,
    // `null` is an absent member here: some servers write their whole key type, unset fields too.
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    // No member of RFC 7517: Microsoft Entra ID says which tenant's tokens a key signs.
    issuer: Option<serde_json::Value>,
}

/// Why a published key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key is a shared secret or of an unknown type.
    #[error("`kty` is not RSA, EC or OKP")]
    Kind,
    /// The key is for encryption or otherwise not for verifying signatures.
    #[error("the key is not for verifying signatures")]
    Purpose,
    /// The key declares an algorithm that is not allowed or does not fit it.
    #[error("`alg` does not fit the key or is not allowed")]
    Algorithm,
    /// A part of the key is missing or malformed.
    #[error("a part of the key is missing or malformed")]
    Malformed,
    /// The RSA modulus or exponent is outside of the safe range.
    #[error("the RSA key is not between 2048 and 8192 bits with a safe exponent")]
    Weak,
    /// The private key can be computed from the public one: see `roca.rs`.
    #[error("the RSA key is vulnerable to ROCA (CVE-2017-15361)")]
    Broken,
    /// The curve is unknown or the point is not on it.
    #[error("the point is not on a supported curve")]
    Curve,
}

impl Jwk {
    /// Returns the key id, if present.
    pub fn id(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

impl Key {
    /// Creates a key from a published one, for those of its algorithms that are `allowed`.
    pub fn from_jwk(jwk: &Jwk, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        // RFC 7517 4.2 and 4.3: both members are optional, and both must permit verification if
        // present.
        let for_signatures = jwk
            .purpose
            .as_deref()
            .is_none_or(|purpose| purpose == "sig")
            && jwk
                .key_ops
                .as_ref()
                .is_none_or(|ops| ops.iter().any(|op| op == "verify"));

        if !for_signatures {
            return Err(KeyError::Purpose);
        }

        let (material, parsed_keys) = match jwk.kty.as_str() {
            "RSA" => rsa(jwk, allowed),
            "EC" => curve(jwk, allowed),
            "OKP" => edwards(jwk, allowed),
            _ => Err(KeyError::Kind),
        }?;

        Ok(Self {
            id: jwk.kid.clone(),
            issuers: jwk.issuer.iter().map(issuer_text).collect(),
            material,
            parsed_keys,
        })
    }

    /// Creates a P-256 key for ES256 from an uncompressed point.
    pub(crate) fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let algorithm = Algorithm::ES256;
        let parsed_key = ParsedPublicKey::new(verification(&algorithm.check()), point)
            .map_err(|_| KeyError::Curve)?;
        Ok(Self {
            id: None,
            issuers: Vec::new(),
            material: point.to_vec(),
            parsed_keys: vec![(algorithm, parsed_key)],
        })
    }

    /// Returns the published key id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the issuers whose tokens the key signs, as its set says; empty without a restriction.
    pub fn issuers(&self) -> &[String] {
        &self.issuers
    }

    /// Returns whether both are the same published key, whatever algorithms each declares.
    pub fn is_same_key(&self, other: &Self) -> bool {
        self.id == other.id && self.material == other.material
    }

    /// Returns whether both have the same id and an algorithm in common, so that a token does not tell
    /// which of them it means.
    pub fn is_ambiguous_with(&self, other: &Self) -> bool {
        let shares_algorithm = || {
            self.algorithms()
                .any(|algorithm| other.algorithms().any(|other| other == algorithm))
        };
        self.id.is_some() && self.id == other.id && shares_algorithm()
    }

    /// Adds the algorithms of another publication of the same key.
    pub(crate) fn merge(&mut self, other: Self) {
        self.issuers.extend(other.issuers);
        for (algorithm, parsed_key) in other.parsed_keys {
            if self.algorithms().all(|known| known != algorithm) {
                self.parsed_keys.push((algorithm, parsed_key));
            }
        }
    }

    /// Returns the algorithms of this key.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.parsed_keys.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Returns whether `signature` over `signed` verifies; `None` when the key is not for
    /// `algorithm`.
    pub(crate) fn verifies(
        &self,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let (_, parsed_key) = self
            .parsed_keys
            .iter()
            .find(|(candidate, _)| *candidate == algorithm)?;
        Some(parsed_key.verify_sig(signed, signature).is_ok())
    }
}

type ParsedKeys = Vec<(Algorithm, ParsedPublicKey)>;

fn rsa(jwk: &Jwk, allowed: &[Algorithm]) -> Result<(Vec<u8>, ParsedKeys), KeyError> {
    let (n, e) = (modulus(jwk)?, bytes(jwk.e.as_ref())?);
    if !is_valid_rsa_key(&n, &e) {
        return Err(KeyError::Weak);
    }

    if roca::has_roca_fingerprint(&n) {
        return Err(KeyError::Broken);
    }

    let material = [&n[..], &e].concat();
    let components = RsaPublicKeyComponents { n, e };
    let parsed_keys = candidates(jwk, allowed, |check| matches!(check, Check::Rsa(_)))?
        .into_iter()
        .map(|algorithm| match algorithm.check() {
            Check::Rsa(parameters) => components
                .to_parsed_public_key(parameters)
                .map(|parsed_key| (algorithm, parsed_key))
                .map_err(|_| KeyError::Malformed),
            _ => Err(KeyError::Algorithm),
        })
        .collect::<Result<_, _>>()?;

    Ok((material, parsed_keys))
}

/// Returns the modulus without leading zeros. RFC 7518 section 6.3.1.1 forbids them, but notes that
/// implementations write the sign octet of their big integers.
fn modulus(jwk: &Jwk) -> Result<Vec<u8>, KeyError> {
    let mut n = bytes(jwk.n.as_ref())?;
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    n.drain(..zeros);
    Ok(n)
}

/// Returns whether modulus and exponent are safe. Checked here because aws-lc would report sizes
/// only at the first signature. With an even modulus or an exponent of 1 anyone can forge
/// signatures; a huge exponent makes verification slow.
fn is_valid_rsa_key(n: &[u8], e: &[u8]) -> bool {
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let exponent = e.len() <= 4 && is_odd(e) && e != [1] && e.first() != Some(&0);
    (2048..=8192).contains(&bits) && is_odd(n) && n.first() != Some(&0) && exponent
}

fn curve(jwk: &Jwk, allowed: &[Algorithm]) -> Result<(Vec<u8>, ParsedKeys), KeyError> {
    let name = jwk.crv.as_deref().ok_or(KeyError::Malformed)?;
    let curve = Curve::from_name(name).ok_or(KeyError::Curve)?;
    let (x, y) = (bytes(jwk.x.as_ref())?, bytes(jwk.y.as_ref())?);
    // RFC 7518 6.2.1.2 requires the full length, including leading zeros.
    if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
        return Err(KeyError::Malformed);
    }

    let point = [&[UNCOMPRESSED][..], &x, &y].concat();
    parse_point(
        jwk,
        allowed,
        &point,
        |check| matches!(check, Check::Curve(candidate, _) if *candidate == curve),
    )
}

fn edwards(jwk: &Jwk, allowed: &[Algorithm]) -> Result<(Vec<u8>, ParsedKeys), KeyError> {
    if jwk.crv.as_deref() != Some("Ed25519") {
        return Err(KeyError::Curve);
    }
    let x = bytes(jwk.x.as_ref())?;
    parse_point(jwk, allowed, &x, |check| matches!(check, Check::Edwards(_)))
}

fn parse_point(
    jwk: &Jwk,
    allowed: &[Algorithm],
    point: &[u8],
    fits: impl Fn(&Check) -> bool,
) -> Result<(Vec<u8>, ParsedKeys), KeyError> {
    let parsed_keys = candidates(jwk, allowed, fits)?
        .into_iter()
        .map(|algorithm| {
            ParsedPublicKey::new(verification(&algorithm.check()), point)
                .map(|parsed_key| (algorithm, parsed_key))
                .map_err(|_| KeyError::Curve)
        })
        .collect::<Result<_, _>>()?;

    Ok((point.to_vec(), parsed_keys))
}

/// Returns the algorithms of a key: the declared one, or all that fit its type, among the allowed
/// ones.
fn candidates(
    jwk: &Jwk,
    allowed: &[Algorithm],
    fits: impl Fn(&Check) -> bool,
) -> Result<Vec<Algorithm>, KeyError> {
    let declared = jwk
        .alg
        .as_deref()
        .map(|name| Algorithm::from_name(name).ok_or(KeyError::Algorithm))
        .transpose()?;
    let found: Vec<_> = allowed
        .iter()
        .copied()
        .filter(|algorithm| fits(&algorithm.check()))
        .filter(|algorithm| declared.is_none_or(|declared| declared == *algorithm))
        .collect();

    if found.is_empty() {
        Err(KeyError::Algorithm)
    } else {
        Ok(found)
    }
}

fn bytes(text: Option<&String>) -> Result<Vec<u8>, KeyError> {
    // Base64url has no padding here (RFC 7515 section 2), but some encoders add it; it changes nothing.
    let text = text.ok_or(KeyError::Malformed)?.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyError::Malformed)?;
    if bytes.is_empty() {
        Err(KeyError::Malformed)
    } else {
        Ok(bytes)
    }
}

/// The first octet of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;
