//! User tokens of an Application Load Balancer: `x-amzn-oidc-data`.
//!
//! The token is signed with ES256 by a key that all load balancers of a region share, so every AWS
//! customer can get tokens of that region signed ("ALBeast"). Therefore its `signer` must be a
//! configured ARN. It has no audience, and its parts are base64url with padding, which is part of
//! the signed bytes. Source: Elastic Load Balancing, "Authenticate users using an Application Load
//! Balancer".

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chassis::format_chain;
use http::{HeaderName, Uri};
use lru::LruCache;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::identity::{Credential, Identity};
use crate::json::{lookup, parse_object};
use crate::jws::{Algorithm, Jws, Key};
use crate::keys::Fetcher;

/// The header with the token.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-amzn-oidc-data");

/// The accepted load balancers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlbSettings {
    /// ARNs of the load balancers to accept `x-amzn-oidc-data` from; none if empty.
    pub signers: Vec<String>,
    /// OIDC client ids accepted in `x-amzn-oidc-data`; any if empty.
    pub clients: Vec<String>,
    /// Base URL of the load balancers' public keys; that of their region if absent.
    #[schemars(url)]
    pub keys_url: Option<String>,
}

/// Why a load balancer's token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlbError {
    /// The header is duplicated or no such token.
    #[error("`x-amzn-oidc-data` is not a token of a load balancer")]
    Malformed,
    /// The token is not signed with ES256, the only algorithm of load balancers.
    #[error("the load balancer's token is not signed with ES256")]
    Algorithm,
    /// Another load balancer signed it.
    #[error("`signer` is not an accepted load balancer")]
    Signer,
    /// It is for another OIDC client.
    #[error("`client` is not an accepted client")]
    Client,
    /// It has no expiry.
    #[error("the load balancer's token has no `exp`")]
    NoExpiry,
    /// It has expired.
    #[error("the load balancer's token has expired")]
    Expired,
    /// The key id is missing or unknown.
    #[error("the region has no such key")]
    UnknownKey,
    /// The key could not be loaded.
    #[error("the key of the load balancers could not be loaded")]
    NoKey,
    /// The signature does not verify with the region's key.
    #[error("the load balancer's signature is wrong")]
    Signature,
}

/// The accepted load balancers and the keys of their region.
#[derive(Clone, Debug)]
pub struct Alb {
    settings: AlbSettings,
    leeway: Duration,
    claims: Arc<[String]>,
    keys: Arc<RegionKeys>,
}

impl AlbSettings {
    /// Returns whether any load balancer is accepted.
    pub fn is_enabled(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Returns the base URL of the keys: the configured one, or that of AWS for the region of the
    /// first signer.
    pub(crate) fn keys_url(&self) -> Option<String> {
        if let Some(keys) = &self.keys_url {
            return Some(keys.trim_end_matches('/').to_owned());
        }

        let (partition, region) = region(self.signers.first()?)?;
        Some(match partition {
            "aws-us-gov" => {
                format!("https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}")
            }
            "aws-cn" => format!("https://public-keys.auth.elb.{region}.amazonaws.com.cn"),
            _ => format!("https://public-keys.auth.elb.{region}.amazonaws.com"),
        })
    }

    /// Returns the first signer that is not the ARN of a load balancer or is in another region than
    /// the first.
    pub(crate) fn invalid_signer(&self) -> Option<&String> {
        let first = self.signers.first().and_then(|arn| region(arn));
        self.signers
            .iter()
            .find(|arn| region(arn).is_none() || region(arn) != first)
    }
}

/// Returns partition and region of an Application Load Balancer's ARN.
fn region(arn: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        [
            "arn",
            partition,
            "elasticloadbalancing",
            region,
            account,
            resource,
        ] if !region.is_empty()
            && account.len() == 12
            && resource.starts_with("loadbalancer/app/") =>
        {
            Some((partition, region))
        }
        _ => None,
    }
}

impl Alb {
    /// Creates a verifier from settings; `claims` are those used by rules and headers.
    pub fn new(
        settings: AlbSettings,
        fetcher: Fetcher,
        leeway: Duration,
        min_refresh_interval: Duration,
        claims: Vec<String>,
    ) -> Self {
        let keys = RegionKeys {
            base_url: settings.keys_url().unwrap_or_default(),
            fetcher,
            min_refresh_interval,
            fetch_permit: Semaphore::new(1),
            state: Mutex::new(State {
                keys: LruCache::new(MAX_KEYS),
                fetches: Vec::new(),
            }),
        };

        Self {
            settings,
            leeway,
            claims: claims.into(),
            keys: Arc::new(keys),
        }
    }

    /// Verifies a token and returns the user's identity.
    pub async fn identity(&self, data: &[u8], now: SystemTime) -> Result<Identity, AlbError> {
        let token = AlbToken::parse(data).ok_or(AlbError::Malformed)?;
        let header_text = |name: &str| token.header.get(name).and_then(Value::as_str);
        if header_text("alg") != Some(Algorithm::ES256.name()) {
            return Err(AlbError::Algorithm);
        }

        // Before any key lookup: a token of another load balancer must not cause a request.
        if !header_text("signer")
            .is_some_and(|arn| self.settings.signers.iter().any(|signer| signer == arn))
        {
            return Err(AlbError::Signer);
        }

        // One load balancer can serve several OIDC clients, so the ARN alone may be too coarse.
        let clients = &self.settings.clients;
        let client = header_text("client");
        if !clients.is_empty()
            && !client.is_some_and(|id| clients.iter().any(|client| client == id))
        {
            return Err(AlbError::Client);
        }

        // ALB writes `exp` into the JOSE header, not into the payload.
        let expires = token
            .header
            .get("exp")
            .and_then(Value::as_f64)
            .ok_or(AlbError::NoExpiry)?;
        let since_epoch = Duration::try_from_secs_f64(expires).map_err(|_| AlbError::Expired)?;
        let expires_at = UNIX_EPOCH
            .checked_add(since_epoch)
            .ok_or(AlbError::NoExpiry)?;

        if now >= expires_at + self.leeway {
            return Err(AlbError::Expired);
        }

        let id = header_text("kid").filter(|id| is_uuid(id));
        let key = self.keys.key(id.ok_or(AlbError::UnknownKey)?).await?;
        match key.verifies(Algorithm::ES256, token.signed, &token.signature) {
            Some(true) => Ok(self.to_identity(&token, expires_at)),
            _ => Err(AlbError::Signature),
        }
    }

    fn to_identity(&self, token: &AlbToken<'_>, expires: SystemTime) -> Identity {
        let text = |members: &Map<String, Value>, name: &str| {
            members.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        let issuer = text(&token.header, "iss").unwrap_or_default();
        let mut identity = Identity::new(Credential::Alb, text(&token.payload, "sub"), issuer);

        identity.client = text(&token.header, "client");
        identity.expires = Some(expires);
        identity.claims = self
            .claims
            .iter()
            .filter_map(|name| Some((name.clone(), lookup(&token.payload, name)?.clone())))
            .collect();

        identity
    }
}

/// The parsed parts of a token.
struct AlbToken<'t> {
    header: Map<String, Value>,
    payload: Map<String, Value>,
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> AlbToken<'t> {
    fn parse(token: &'t [u8]) -> Option<Self> {
        if token.len() > Jws::MAX_BYTES {
            return None;
        }

        let parts: Vec<&[u8]> = token.splitn(4, |byte| *byte == b'.').collect();
        let [header, payload, signature] = parts[..] else {
            return None;
        };

        Some(Self {
            header: parse_object(&decode(header)?)?,
            payload: parse_object(&decode(payload)?)?,
            signed: &token[..header.len() + 1 + payload.len()],
            signature: decode(signature)?,
        })
    }
}

fn decode(part: &[u8]) -> Option<Vec<u8>> {
    PADDED_OR_NOT.decode(part).ok()
}

// Key ids become part of a URL, and AWS uses UUIDs, so only those are accepted.
fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The keys of a region, each published under its own URL.
#[derive(Debug)]
struct RegionKeys {
    base_url: String,
    fetcher: Fetcher,
    min_refresh_interval: Duration,
    fetch_permit: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: LruCache<String, Arc<Key>>,
    /// Times of the fetches within the last `min_refresh_interval`.
    fetches: Vec<Instant>,
}

impl RegionKeys {
    /// Returns a key: cached, or fetched within the rate limit.
    async fn key(&self, id: &str) -> Result<Arc<Key>, AlbError> {
        if let Some(key) = self.keys(id) {
            return Ok(key);
        }

        // One fetch at a time; the second look at the cache finds what the previous holder loaded.
        let permit = self.fetch_permit.acquire().await;
        let _permit = permit.map_err(|_| AlbError::NoKey)?;
        if let Some(key) = self.keys(id) {
            return Ok(key);
        }

        if !self.try_reserve_fetch() {
            return Err(AlbError::UnknownKey);
        }
        let key = Arc::new(self.fetch(id).await?);

        self.state().keys.put(id.to_owned(), key.clone());
        Ok(key)
    }

    fn keys(&self, id: &str) -> Option<Arc<Key>> {
        self.state().keys.get(id).cloned()
    }

    /// Reserves one fetch before it begins, so that concurrent requests cannot exceed the limit.
    fn try_reserve_fetch(&self) -> bool {
        let mut state = self.state();
        state
            .fetches
            .retain(|fetched_at| fetched_at.elapsed() < self.min_refresh_interval);
        let allowed = state.fetches.len() < MAX_FETCHES;
        if allowed {
            state.fetches.push(Instant::now());
        }
        allowed
    }

    async fn fetch(&self, id: &str) -> Result<Key, AlbError> {
        let url: Uri = format!("{}/{id}", self.base_url)
            .parse()
            .map_err(|_| AlbError::NoKey)?;
        let document = self.fetcher.get(&url).await.map_err(|error| {
            tracing::warn!(
                error = format_chain(&error),
                "cannot load the load balancer's key"
            );
            AlbError::NoKey
        })?;
        p256(&document).ok_or(AlbError::NoKey)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Parses a P-256 public key in PEM.
fn p256(pem: &[u8]) -> Option<Key> {
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    Key::from_point(info.strip_prefix(P256_PREFIX)?).ok()
}

/// The bytes in front of the point in the `SubjectPublicKeyInfo` of a P-256 key (RFC 5480): the two
/// algorithm identifiers and the header of a bit string of 65 octets.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Number of cached keys. A region has one key, and two around a rotation.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// Fetches within one `min_refresh_interval`.
const MAX_FETCHES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(signers: &[&str]) -> AlbSettings {
        AlbSettings {
            signers: signers.iter().map(ToString::to_string).collect(),
            ..AlbSettings::default()
        }
    }

    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/front/50dc6c495c0c9188";

    #[test]
    fn derives_the_keys_url_from_the_region() {
        let keys_url = |arn: &str| settings(&[arn]).keys_url().unwrap();
        assert_eq!(
            keys_url(ARN),
            "https://public-keys.auth.elb.eu-west-1.amazonaws.com"
        );

        assert_eq!(
            keys_url(
                &ARN.replace("aws:", "aws-us-gov:")
                    .replace("eu-west-1", "us-gov-west-1")
            ),
            "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1"
        );
    }

    #[test]
    fn signers_are_load_balancers_of_one_region() {
        let other = ARN.replace("eu-west-1", "us-east-1");
        assert_eq!(settings(&[ARN, ARN]).invalid_signer(), None);
        assert_eq!(settings(&[ARN, &other]).invalid_signer(), Some(&other));

        for wrong in [
            "",
            "front",
            &ARN.replace("/app/", "/net/"),
            &ARN.replace("12:", ":"),
        ] {
            assert!(settings(&[wrong]).invalid_signer().is_some(), "{wrong}");
        }
    }

    #[test]
    fn accepts_only_uuids_as_key_ids() {
        assert!(is_uuid("12345678-90ab-CDEF-1234-567890abcdef"));
        for id in [
            "",
            // Path traversal, a non-hexadecimal digit, and groups of the wrong length.
            "../x",
            "12345678-90ab-cdef-1234-567890abcdeg",
            "1-2-3-4-5",
        ] {
            assert!(!is_uuid(id), "{id}");
        }
    }
}
