//! A short-lived token with the identity, signed with ES256: `x-auth-token`, for apps that verify a
//! signature rather than trust a header.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::{HumanDuration, Secret};
use http::HeaderValue;
use lru::LruCache;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::identity::Identity;

/// Signing key and contents of the identity tokens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityTokenSettings {
    /// P-256 private key (PKCS#8 PEM) that signs `x-auth-token` for the app; without it the header
    /// is not set.
    pub key: Secret,
    /// Value of `iss` in `x-auth-token`.
    pub issuer: String,
    /// Value of `aud` in `x-auth-token`; omitted if not set.
    pub audience: Option<String>,
    /// How long an `x-auth-token` is valid; never longer than the credential.
    pub lifetime: HumanDuration,
}

impl Default for IdentityTokenSettings {
    fn default() -> Self {
        Self {
            key: Secret::default(),
            issuer: "auth-filter".to_owned(),
            audience: None,
            lifetime: HumanDuration::from_secs(60),
        }
    }
}

/// An unusable signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a P-256 private key in PKCS#8 PEM")]
pub struct SigningKeyError;

/// Signs identities.
#[derive(Clone)]
pub struct IdentityTokens(Arc<Signer>);

struct Signer {
    settings: IdentityTokenSettings,
    pair: EcdsaKeyPair,
    /// The encoded header, the same for all tokens.
    header: String,
    /// Holds the identity too, so that its address is not reused.
    tokens: Mutex<TokenTable>,
}

/// Identity, expiry and token, by the address of the identity.
type TokenTable = LruCache<usize, (Arc<Identity>, SystemTime, HeaderValue)>;

impl IdentityTokens {
    /// Creates a signer from settings.
    pub fn new(settings: IdentityTokenSettings) -> Result<Self, SigningKeyError> {
        // ECS secrets often have escaped line breaks.
        let pem = settings.key.expose().replace("\\n", "\n");
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningKeyError)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
                .map_err(|_| SigningKeyError)?;
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": thumbprint(&pair)});
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let tokens = Mutex::new(LruCache::new(MAX_TOKENS));

        Ok(Self(Arc::new(Signer {
            settings,
            pair,
            header,
            tokens,
        })))
    }

    /// Returns the key set for verifying these tokens (RFC 7517).
    pub fn jwks(&self) -> Value {
        let pair = &self.0.pair;
        let mut jwk = jwk(pair);
        for (name, value) in [
            ("kid", thumbprint(pair).as_str()),
            ("use", "sig"),
            ("alg", "ES256"),
        ] {
            jwk.insert(name.to_owned(), value.into());
        }
        json!({ "keys": [jwk] })
    }

    /// Returns a token for an identity; a previous one while at least half of its lifetime is left.
    pub(crate) fn token_for(
        &self,
        identity: &Arc<Identity>,
        now: SystemTime,
    ) -> Option<HeaderValue> {
        let address = Arc::as_ptr(identity) as usize;
        let lifetime = self.0.settings.lifetime.duration();
        let until = identity
            .expires
            .map_or(now + lifetime, |ends| ends.min(now + lifetime));
        let life = until.duration_since(now).unwrap_or_default();

        if let Some((_, until, token)) = self.lock().get(&address)
            && *until > now + life / 2
        {
            return Some(token.clone());
        }

        // Signed outside of the lock: concurrent requests may sign twice, but never wait for a
        // signature.
        let token = self.sign(identity, now, until)?;
        let entry = (identity.clone(), until, token.clone());
        self.lock().put(address, entry);
        Some(token)
    }

    fn sign(&self, identity: &Identity, now: SystemTime, until: SystemTime) -> Option<HeaderValue> {
        let payload = URL_SAFE_NO_PAD.encode(self.payload(identity, now, until).to_string());
        let signing_input = format!("{}.{payload}", self.0.header);
        let signature = self
            .0
            .pair
            .sign(&SystemRandom::new(), signing_input.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.ok()?);
        HeaderValue::try_from(format!("{signing_input}.{signature}")).ok()
    }

    fn payload(&self, identity: &Identity, now: SystemTime, until: SystemTime) -> Value {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        let settings = &self.0.settings;
        let scope = identity.scopes.join(" ");

        put("iss", Some(settings.issuer.clone().into()));
        put("aud", settings.audience.clone().map(Into::into));
        put("sub", identity.subject.clone().map(Into::into));
        put("iat", Some(seconds(now).into()));
        put("exp", Some(seconds(until).into()));
        put(
            "scope",
            Some(scope.into()).filter(|_| !identity.scopes.is_empty()),
        );

        put("client_id", identity.client.clone().map(Into::into));
        put("credential", Some(identity.credential.as_str().into()));
        put("issued_by", Some(identity.issuer.clone().into()));
        let more = &identity.claims;

        put("claims", (!more.is_empty()).then(|| json!(more)));
        Value::Object(claims)
    }

    fn lock(&self) -> MutexGuard<'_, TokenTable> {
        self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for IdentityTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityTokens").finish_non_exhaustive()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

/// Returns the public key as a JSON Web Key, its members in the order of RFC 7638.
fn jwk(pair: &EcdsaKeyPair) -> Map<String, Value> {
    let point = pair.public_key().as_ref();
    // The first octet marks an uncompressed point (SEC 1 2.3.3).
    let (x, y) = point[1..].split_at(point.len() / 2);
    let encoded = |part: &[u8]| Value::String(URL_SAFE_NO_PAD.encode(part));
    [
        ("crv", "P-256".into()),
        ("kty", "EC".into()),
        ("x", encoded(x)),
        ("y", encoded(y)),
    ]
    .map(|(name, value): (&str, Value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// Returns the thumbprint of RFC 7638, used as key id.
fn thumbprint(pair: &EcdsaKeyPair) -> String {
    let text = Value::Object(jwk(pair)).to_string();
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
