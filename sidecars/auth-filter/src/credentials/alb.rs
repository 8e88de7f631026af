//! What an Application Load Balancer says of a user who logged in there: `x-amzn-oidc-data`.
//!
//! The token is signed with ES256, by a key that all load balancers of a region share: whoever can run
//! one can have tokens of that region signed ("ALBeast"). So its `signer` must be one of ours, by ARN.
//! It has no audience, and its parts are base64url with padding, which is part of what is signed.
//! Source: Elastic Load Balancing, "Authenticate users using an Application Load Balancer".

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
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
use crate::json::{member, object};
use crate::jws::{Algorithm, Jws, Key};
use crate::keys::{Fetcher, chain};

/// The header with the token.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-amzn-oidc-data");

/// Which load balancers are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlbSettings {
    /// ARNs of the load balancers whose `x-amzn-oidc-data` is believed; none without any.
    pub signers: Vec<String>,
    /// OIDC client ids that are believed in `x-amzn-oidc-data`; any without one.
    pub clients: Vec<String>,
    /// Address the load balancers' public keys stand under; that of their region without it.
    #[schemars(url)]
    pub keys: Option<String>,
}

/// Why what a load balancer says is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlbFault {
    /// The header is there twice or is no token.
    #[error("`x-amzn-oidc-data` is no token of a load balancer")]
    Malformed,
    /// The token is not by ES256, which is all that load balancers use.
    #[error("the load balancer's token is not by ES256")]
    Algorithm,
    /// Another load balancer has signed it.
    #[error("`signer` is not one of the load balancers believed")]
    Signer,
    /// It is for another client.
    #[error("`client` is not one of the clients believed")]
    Client,
    /// It does not say when it ends.
    #[error("the load balancer's token does not say when it ends")]
    NoExpiry,
    /// It has ended.
    #[error("the load balancer's token has expired")]
    Expired,
    /// The id of the key is none, or there is no such key.
    #[error("the region has no such key")]
    UnknownKey,
    /// The key could not be had.
    #[error("the key of the load balancers could not be loaded")]
    NoKey,
    /// The signature is not by the region's key.
    #[error("the load balancer's signature is wrong")]
    Signature,
}

/// The load balancers that are believed, and the keys of their region.
#[derive(Clone, Debug)]
pub struct Alb {
    settings: AlbSettings,
    leeway: Duration,
    claims: Arc<[String]>,
    keys: Arc<RegionKeys>,
}

impl AlbSettings {
    /// Whether any load balancer is believed.
    pub fn is_on(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Where the keys are: as set, else as AWS publishes them for the region of the first signer.
    pub(crate) fn place(&self) -> Option<String> {
        if let Some(keys) = &self.keys {
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

    /// The first signer that is no ARN of a load balancer, or that is of another region than the first.
    pub(crate) fn wrong_signer(&self) -> Option<&String> {
        let first = self.signers.first().and_then(|arn| region(arn));
        self.signers
            .iter()
            .find(|arn| region(arn).is_none() || region(arn) != first)
    }
}

/// Partition and region of an Application Load Balancer's ARN.
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
    /// Believes load balancers as the settings say; `claims` are those that rules and headers ask for.
    pub fn new(
        settings: AlbSettings,
        fetcher: Fetcher,
        leeway: Duration,
        cooldown: Duration,
        claims: Vec<String>,
    ) -> Self {
        let keys = RegionKeys {
            place: settings.place().unwrap_or_default(),
            fetcher,
            cooldown,
            one_at_a_time: Semaphore::new(1),
            state: Mutex::new(State {
                known: LruCache::new(MAX_KEYS),
                asked: Vec::new(),
            }),
        };

        Self {
            settings,
            leeway,
            claims: claims.into(),
            keys: Arc::new(keys),
        }
    }

    /// Who is logged in, if one of ours says so.
    pub async fn identity(&self, data: &[u8], now: SystemTime) -> Result<Identity, AlbFault> {
        let token = Parts::read(data).ok_or(AlbFault::Malformed)?;
        let said = |name: &str| token.header.get(name).and_then(Value::as_str);
        if said("alg") != Some(Algorithm::ES256.name()) {
            return Err(AlbFault::Algorithm);
        }

        // Before any key is looked for: a stranger's token makes the filter fetch nothing.
        if !said("signer").is_some_and(|arn| self.settings.signers.iter().any(|our| our == arn)) {
            return Err(AlbFault::Signer);
        }

        let clients = &self.settings.clients;
        let client = said("client");
        if !clients.is_empty() && !client.is_some_and(|id| clients.iter().any(|our| our == id)) {
            return Err(AlbFault::Client);
        }

        let expires = token.header.get("exp").and_then(Value::as_f64);
        let expires = expires.ok_or(AlbFault::NoExpiry)?;
        let ends = Duration::try_from_secs_f64(expires).map_err(|_| AlbFault::Expired)?;
        let ends = UNIX_EPOCH.checked_add(ends).ok_or(AlbFault::NoExpiry)?;

        if now >= ends + self.leeway {
            return Err(AlbFault::Expired);
        }

        let id = said("kid").filter(|id| is_uuid(id));
        let key = self.keys.key(id.ok_or(AlbFault::UnknownKey)?).await?;
        match key.verifies(Algorithm::ES256, token.signed, &token.signature) {
            Some(true) => Ok(self.told(&token, ends)),
            _ => Err(AlbFault::Signature),
        }
    }

    fn told(&self, token: &Parts<'_>, expires: SystemTime) -> Identity {
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
            .filter_map(|name| Some((name.clone(), member(&token.payload, name)?.clone())))
            .collect();

        identity
    }
}

/// A token taken apart.
struct Parts<'t> {
    header: Map<String, Value>,
    payload: Map<String, Value>,
    signed: &'t [u8],
    signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn read(token: &'t [u8]) -> Option<Self> {
        if token.len() > Jws::MAX_BYTES {
            return None;
        }

        let parts: Vec<&[u8]> = token.splitn(4, |byte| *byte == b'.').collect();
        let [header, payload, signature] = parts[..] else {
            return None;
        };

        Some(Self {
            header: object(&decode(header)?)?,
            payload: object(&decode(payload)?)?,
            signed: &token[..header.len() + 1 + payload.len()],
            signature: decode(signature)?,
        })
    }
}

fn decode(part: &[u8]) -> Option<Vec<u8>> {
    PADDED_OR_NOT.decode(part).ok()
}

fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The keys of a region, each under its own address.
#[derive(Debug)]
struct RegionKeys {
    place: String,
    fetcher: Fetcher,
    cooldown: Duration,
    one_at_a_time: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: LruCache<String, Arc<Key>>,
    /// When keys were asked for, as far back as the cool-down goes.
    asked: Vec<Instant>,
}

impl RegionKeys {
    /// The key with this id: known, or fetched if not too many were asked for lately.
    async fn key(&self, id: &str) -> Result<Arc<Key>, AlbFault> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }

        let turn = self.one_at_a_time.acquire().await;
        let _turn = turn.map_err(|_| AlbFault::NoKey)?;
        if let Some(key) = self.known(id) {
            return Ok(key);
        }

        if !self.may_ask() {
            return Err(AlbFault::UnknownKey);
        }
        let key = Arc::new(self.fetch(id).await?);

        self.state().known.put(id.to_owned(), key.clone());
        Ok(key)
    }

    fn known(&self, id: &str) -> Option<Arc<Key>> {
        self.state().known.get(id).cloned()
    }

    /// Claims the right to one fetch before it begins.
    fn may_ask(&self) -> bool {
        let mut state = self.state();
        state.asked.retain(|asked| asked.elapsed() < self.cooldown);
        let may = state.asked.len() < MAX_ASKED;
        if may {
            state.asked.push(Instant::now());
        }
        may
    }

    async fn fetch(&self, id: &str) -> Result<Key, AlbFault> {
        let url: Uri = format!("{}/{id}", self.place)
            .parse()
            .map_err(|_| AlbFault::NoKey)?;
        let document = self.fetcher.get(&url).await.map_err(|fault| {
            tracing::warn!(
                error = chain(&fault),
                "the load balancers' key could not be loaded"
            );
            AlbFault::NoKey
        })?;
        p256(&document).ok_or(AlbFault::NoKey)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The P-256 key in a PEM document.
fn p256(pem: &[u8]) -> Option<Key> {
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    Key::from_point(info.strip_prefix(P256_PREFIX)?).ok()
}

/// What stands before the point in the `SubjectPublicKeyInfo` of a P-256 key (RFC 5480): the two
/// algorithm identifiers and the head of a bit string of 65 octets.
const P256_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A region has one key at a time and two around a change.
const MAX_KEYS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// Keys asked for in one cool-down.
const MAX_ASKED: usize = 4;

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
    fn the_keys_are_where_aws_has_them_for_the_region() {
        let place = |arn: &str| settings(&[arn]).place().unwrap();
        assert_eq!(
            place(ARN),
            "https://public-keys.auth.elb.eu-west-1.amazonaws.com"
        );

        assert_eq!(
            place(
                &ARN.replace("aws:", "aws-us-gov:")
                    .replace("eu-west-1", "us-gov-west-1")
            ),
            "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1"
        );
    }

    #[test]
    fn a_signer_is_an_application_load_balancer_of_one_region() {
        let other = ARN.replace("eu-west-1", "us-east-1");
        assert_eq!(settings(&[ARN, ARN]).wrong_signer(), None);
        assert_eq!(settings(&[ARN, &other]).wrong_signer(), Some(&other));

        for wrong in [
            "",
            "front",
            &ARN.replace("/app/", "/net/"),
            &ARN.replace("12:", ":"),
        ] {
            assert!(settings(&[wrong]).wrong_signer().is_some(), "{wrong}");
        }
    }

    #[test]
    fn only_a_uuid_becomes_part_of_an_address() {
        assert!(is_uuid("12345678-90ab-CDEF-1234-567890abcdef"));
        for id in [
            "",
            "../x",
            "12345678-90ab-cdef-1234-567890abcdeg",
            "1-2-3-4-5",
        ] {
            assert!(!is_uuid(id), "{id}");
        }
    }
}
