//! The trusted issuers, and the verification of one token.

use std::sync::Arc;
use std::time::SystemTime;

use crate::claims::{TokenPolicy, unverified_issuer};
use crate::identity::Identity;
use crate::jws::{Algorithm, Jws, JwsError};
use crate::keys::Keys;
use crate::rejection::Rejection;
use crate::token_cache::{CachedToken, TokenCache};

/// The trusted issuers.
#[derive(Clone, Debug)]
pub struct Issuers {
    list: Arc<[IssuerVerifier]>,
    cache: TokenCache,
}

/// An issuer: the policy for its tokens and its keys.
#[derive(Clone, Debug)]
pub struct IssuerVerifier {
    /// The policy its tokens must satisfy.
    pub policy: TokenPolicy,
    /// Its keys, kept fresh by a [`Refresher`](crate::keys::Refresher).
    pub keys: Keys,
}

impl Issuers {
    /// Creates the list of issuers with a cache of `cache_size` tokens.
    pub fn new(list: Vec<IssuerVerifier>, cache_size: usize) -> Self {
        Self {
            list: list.into(),
            cache: TokenCache::new(cache_size),
        }
    }

    /// Returns the identity of a cached token if its issuer's keys have not changed.
    pub(crate) fn find_cached(&self, token: &[u8], now: SystemTime) -> Option<Arc<Identity>> {
        let fingerprint = self.cache.fingerprint(token)?;
        self.cache.get(&fingerprint, now, |issuer| {
            Some(self.list.get(issuer)?.keys.current()?.generation())
        })
    }

    /// Verifies a token and returns its identity.
    pub(crate) async fn identity(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Identity>, Rejection> {
        let jws = Jws::parse(token)?;
        let header = jws.header().clone();

        // Before any key lookup: a made-up algorithm must not cause a request to the issuer.
        Algorithm::from_name(&header.alg).ok_or(JwsError::Algorithm)?;
        let (issuer, verifier) = self.select(&jws).ok_or(Rejection::UnknownIssuer)?;
        // An unknown key id may mean that the issuer rotated its keys, so it can cause one reload.
        let set = match &header.kid {
            Some(id) => verifier.keys.current_or_reload(id).await,
            None => verifier.keys.current(),
        }
        .ok_or(Rejection::NoKeys)?;
        let id = header.kid.as_deref();
        if id.is_some_and(|id| !set.contains(id)) {
            return Err(Rejection::UnknownKey);
        }

        // Signature first: no claim is evaluated before it is authentic, except `iss` to select the
        // keys.
        let policy = &verifier.policy;
        let key_issuer = policy.key_issuer(jws.unverified_payload());
        let is_accepted = |key: &&_| policy.accepts_key(key, key_issuer.as_deref());
        let payload = jws.verify_any(set.candidates(id).filter(is_accepted))?;
        let identity = Arc::new(policy.claims(&header, &payload, now)?);
        // A token without `exp` never gets here, but is not cacheable either.
        if let (Some(fingerprint), Some(expires)) =
            (self.cache.fingerprint(token), identity.expires)
        {
            let cached = CachedToken {
                issuer,
                generation: set.generation(),
                until: expires + policy.leeway,
                identity: identity.clone(),
            };
            self.cache.insert(fingerprint, cached);
        }

        Ok(identity)
    }

    /// Selects the issuer and its keys for a token. With a single issuer it is always that one; a
    /// wrong `iss` is then reported by the claims check.
    fn select(&self, jws: &Jws<'_>) -> Option<(usize, &IssuerVerifier)> {
        if let [only] = &self.list[..] {
            return Some((0, only));
        }
        let name = unverified_issuer(jws.unverified_payload())?;
        let all = || self.list.iter().enumerate();
        // A tenant with its own entry is not also one of a template.
        all()
            .find(|(_, verifier)| verifier.policy.issuer == name)
            .or_else(|| all().find(|(_, verifier)| verifier.policy.is_for_issuer(&name)))
    }
}
