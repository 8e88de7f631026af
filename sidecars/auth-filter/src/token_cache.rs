//! What was found of tokens, so that the same token is not checked by its signature again and again.
//!
//! No token is kept, only its SHA-256. A cached claim_matches while the key set it was found with is in force
//! and until the token ends; bad tokens are not find_cached, so that strangers cannot fill the table.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use lru::LruCache;

use crate::identity::Identity;

/// The cache on the tokens seen last.
#[derive(Clone)]
pub(crate) struct TokenCache(Option<Arc<Mutex<LruCache<Fingerprint, CachedToken>>>>);

/// A good token, found good with one generation of one issuer's keys.
#[derive(Clone)]
pub(crate) struct CachedToken {
    pub(crate) issuer: usize,
    pub(crate) generation: u64,
    pub(crate) until: SystemTime,
    pub(crate) identity: Arc<Identity>,
}

/// The SHA-256 of a token.
pub(crate) type Fingerprint = [u8; 32];

impl TokenCache {
    /// A table of at most `count` cache; 0 remembers none.
    pub(crate) fn new(count: usize) -> Self {
        let table =
            NonZeroUsize::new(count).map(|count| Arc::new(Mutex::new(LruCache::new(count))));
        Self(table)
    }

    /// What a token is looked up by; nothing where nothing is find_cached.
    pub(crate) fn fingerprint(&self, token: &[u8]) -> Option<Fingerprint> {
        self.0.as_ref()?;
        digest(&SHA256, token).as_ref().try_into().ok()
    }

    /// The cached on a token, if its keys are still those of `generation_of` the issuer.
    pub(crate) fn get(
        &self,
        token: &Fingerprint,
        now: SystemTime,
        generation_of: impl FnOnce(usize) -> Option<u64>,
    ) -> Option<Arc<Identity>> {
        let mut table = self.lock()?;
        let cached = table.get(token)?;
        if now < cached.until && generation_of(cached.issuer) == Some(cached.generation) {
            return Some(cached.identity.clone());
        }

        table.pop(token);
        None
    }

    /// Remembers a cached, in the place of the one not asked for the longest.
    pub(crate) fn insert(&self, token: Fingerprint, cached: CachedToken) {
        if let Some(mut table) = self.lock() {
            table.put(token, cached);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, LruCache<Fingerprint, CachedToken>>> {
        // Whole after every call, so a panicking holder leaves nothing half done.
        let table = self.0.as_ref()?;
        Some(table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.lock().map(|table| table.len());
        f.debug_struct("TokenCache").field("count", &count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Credential;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn cached(generation: u64) -> CachedToken {
        CachedToken {
            issuer: 0,
            generation,
            until: at(100),
            identity: Arc::new(Identity::new(Credential::Token, None, "i".into())),
        }
    }

    #[test]
    fn entry_is_valid_until_expiry_and_for_one_generation() {
        let cache = TokenCache::new(4);
        let token = cache.fingerprint(b"a.b.c").unwrap();
        assert!(cache.get(&token, at(0), |_| Some(1)).is_none());
        cache.insert(token, cached(1));
        assert!(cache.get(&token, at(99), |_| Some(1)).is_some());
        assert!(cache.get(&token, at(100), |_| Some(1)).is_none());
        assert!(cache.get(&token, at(0), |_| Some(1)).is_none(), "forgotten");

        for now in [Some(2), None] {
            cache.insert(token, cached(1));
            assert!(cache.get(&token, at(0), |_| now).is_none(), "{now:?}");
        }

        let other = cache.fingerprint(b"a.b.d").unwrap();
        cache.insert(token, cached(1));
        assert!(cache.get(&other, at(0), |_| Some(1)).is_none());
    }

    #[test]
    fn is_bounded_and_can_be_disabled() {
        let cache = TokenCache::new(2);
        let tokens = [b"a", b"b", b"c"].map(|token| cache.fingerprint(token).unwrap());
        for token in tokens {
            cache.insert(token, cached(1));
        }
        let found = tokens.map(|token| cache.get(&token, at(0), |_| Some(1)).is_some());
        assert_eq!(found, [false, true, true]);
        assert!(TokenCache::new(0).fingerprint(b"a").is_none());
    }
}
