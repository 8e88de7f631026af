//! The issuers whose tokens are believed, and the check of one token.

use std::sync::Arc;
use std::time::SystemTime;

use crate::claims::{TokenPolicy, unverified_issuer};
use crate::identity::Identity;
use crate::jws::{Algorithm, Jws, JwsError};
use crate::keys::Keys;
use crate::rejection::Rejection;
use crate::token_cache::{CachedToken, TokenCache};

/// The issuers whose tokens are believed.
#[derive(Clone, Debug)]
pub struct Issuers {
    list: Arc<[IssuerVerifier]>,
    cache: TokenCache,
}

/// An issuer: what its tokens must say, and the keys they must be signed with.
#[derive(Clone, Debug)]
pub struct IssuerVerifier {
    /// What its tokens must say.
    pub policy: TokenPolicy,
    /// Its keys, kept fresh by their refresher.
    pub keys: Keys,
}

impl Issuers {
    /// These issuers, with the cache on `find_cached` tokens kept.
    pub fn new(list: Vec<IssuerVerifier>, cache_size: usize) -> Self {
        Self {
            list: list.into(),
            cache: TokenCache::new(cache_size),
        }
    }

    /// Who a token is about, if it was found good before and nothing has changed since.
    pub(crate) fn find_cached(&self, token: &[u8], now: SystemTime) -> Option<Arc<Identity>> {
        let fingerprint = self.cache.fingerprint(token)?;
        self.cache.get(&fingerprint, now, |issuer| {
            Some(self.list.get(issuer)?.keys.current()?.generation())
        })
    }

    /// Who a token is about, if it is good.
    pub(crate) async fn identity(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Identity>, Rejection> {
        let jws = Jws::parse(token)?;
        let header = jws.header().clone();

        // Before any key is looked for: no made-up algorithm makes the filter fetch something.
        Algorithm::from_name(&header.alg).ok_or(JwsError::Algorithm)?;
        let (issuer, verifier) = self.select(&jws).ok_or(Rejection::UnknownIssuer)?;
        let set = match &header.kid {
            Some(id) => verifier.keys.current_or_reload(id).await,
            None => verifier.keys.current(),
        };

        let set = set.ok_or(Rejection::NoKeys)?;
        let id = header.kid.as_deref();
        if id.is_some_and(|id| !set.contains(id)) {
            return Err(Rejection::UnknownKey);
        }

        let payload = jws.verify_any(set.candidates(id))?;
        let identity = Arc::new(verifier.policy.claims(&header, &payload, now)?);
        if let (Some(fingerprint), Some(expires)) =
            (self.cache.fingerprint(token), identity.expires)
        {
            let cached = CachedToken {
                issuer,
                generation: set.generation(),
                until: expires + verifier.policy.leeway,
                identity: identity.clone(),
            };
            self.cache.insert(fingerprint, cached);
        }

        Ok(identity)
    }

    /// The issuer whose keys are to be tried. Where there is one it is that one: a wrong `iss` is then
    /// found with the other claims.
    fn select(&self, jws: &Jws<'_>) -> Option<(usize, &IssuerVerifier)> {
        if let [only] = &self.list[..] {
            return Some((0, only));
        }
        let name = unverified_issuer(jws.unverified_payload())?;
        let mut all = self.list.iter().enumerate();
        all.find(|(_, verifier)| verifier.policy.issuer == name)
    }
}
