//! Caches verified tokens, so that a repeated token costs a hash instead of a signature check.
//!
//! Entries are keyed by the token's SHA-256; the token itself is not stored. An entry is valid for
//! one generation of the issuer's key set and until the token expires. Invalid tokens are not
//! cached, so clients without a valid token cannot evict entries.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use lru::LruCache;

use crate::identity::Identity;

/// The most recently used verified tokens.
#[derive(Clone)]
pub(crate) struct TokenCache(Option<Arc<Mutex<LruCache<Fingerprint, CachedToken>>>>);

/// A token verified with one generation of one issuer's keys.
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
    /// Creates a cache of at most `count` tokens; 0 disables it.
    pub(crate) fn new(count: usize) -> Self {
        let table =
            NonZeroUsize::new(count).map(|count| Arc::new(Mutex::new(LruCache::new(count))));
        Self(table)
    }

    /// Returns the cache key of a token; `None` when the cache is disabled.
    pub(crate) fn fingerprint(&self, token: &[u8]) -> Option<Fingerprint> {
        self.0.as_ref()?;
        digest(&SHA256, token).as_ref().try_into().ok()
    }

    /// Returns the identity of a cached token if the issuer still has the same key generation.
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

    /// Inserts a token and evicts the least recently used one when full.
    pub(crate) fn insert(&self, token: Fingerprint, cached: CachedToken) {
        if let Some(mut table) = self.lock() {
            table.put(token, cached);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, LruCache<Fingerprint, CachedToken>>> {
        // Consistent after every call, so a panic in a lock holder leaves no partial state.
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

    // Times are relative to the epoch; only their order matters.
    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn cached_token(generation: u64) -> CachedToken {
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
        cache.insert(token, cached_token(1));
        assert!(cache.get(&token, at(99), |_| Some(1)).is_some());
        assert!(cache.get(&token, at(100), |_| Some(1)).is_none());
        assert!(cache.get(&token, at(0), |_| Some(1)).is_none(), "forgotten");

        // A new generation, and an issuer with stale keys, both invalidate the entry.
        for now in [Some(2), None] {
            cache.insert(token, cached_token(1));
            assert!(cache.get(&token, at(0), |_| now).is_none(), "{now:?}");
        }

        // One changed byte is another token.
        let other = cache.fingerprint(b"a.b.d").unwrap();
        cache.insert(token, cached_token(1));
        assert!(cache.get(&other, at(0), |_| Some(1)).is_none());
    }

    #[test]
    fn is_bounded_and_can_be_disabled() {
        let cache = TokenCache::new(2);
        let tokens = [b"a", b"b", b"c"].map(|token| cache.fingerprint(token).unwrap());
        for token in tokens {
            cache.insert(token, cached_token(1));
        }
        let found = tokens.map(|token| cache.get(&token, at(0), |_| Some(1)).is_some());
        assert_eq!(found, [false, true, true]);
        assert!(TokenCache::new(0).fingerprint(b"a").is_none());
    }
}
