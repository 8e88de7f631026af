//! Caches decisions about opaque tokens, valid and invalid ones apart.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use lru::LruCache;

use crate::identity::Identity;
use crate::rejection::Rejection;

/// The most recently used tokens by their SHA-256; the tokens themselves are not stored.
pub(super) struct DecisionCache(Option<Mutex<Tables>>);

struct Tables {
    valid: LruCache<Fingerprint, (Arc<Identity>, SystemTime)>,
    /// Apart from the valid ones, which invalid tokens must not evict.
    invalid: LruCache<Fingerprint, (Rejection, SystemTime)>,
}

type Fingerprint = [u8; 32];

impl DecisionCache {
    /// Creates a cache of `count` valid and `count` invalid tokens; 0 disables it.
    pub(super) fn new(count: usize) -> Self {
        Self(NonZeroUsize::new(count).map(|count| {
            Mutex::new(Tables {
                valid: LruCache::new(count),
                invalid: LruCache::new(count),
            })
        }))
    }

    /// Returns the decision about a token that is still valid.
    pub(super) fn get(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Option<Result<Arc<Identity>, Rejection>> {
        let mut tables = self.lock()?;
        let token = fingerprint(token)?;
        if let Some((identity, until)) = tables.valid.get(&token) {
            if now < *until {
                return Some(Ok(identity.clone()));
            }
            tables.valid.pop(&token);
        }

        let (rejection, until) = tables.invalid.get(&token)?;
        if now < *until {
            return Some(Err(rejection.clone()));
        }
        tables.invalid.pop(&token);
        None
    }

    /// Stores the decision about a token until a time.
    pub(super) fn insert(
        &self,
        token: &[u8],
        decision: Result<Arc<Identity>, Rejection>,
        until: SystemTime,
    ) {
        if let (Some(mut tables), Some(token)) = (self.lock(), fingerprint(token)) {
            // The latest decision is the only one.
            tables.valid.pop(&token);
            tables.invalid.pop(&token);
            match decision {
                Ok(identity) => drop(tables.valid.put(token, (identity, until))),
                Err(rejection) => drop(tables.invalid.put(token, (rejection, until))),
            }
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Tables>> {
        // Consistent after every call, so a panic in a lock holder leaves no partial state.
        let tables = self.0.as_ref()?;
        Some(tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn fingerprint(token: &[u8]) -> Option<Fingerprint> {
    digest(&SHA256, token).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Credential;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn valid() -> Arc<Identity> {
        Arc::new(Identity::new(Credential::Token, None, "i".into()))
    }

    #[test]
    fn invalid_tokens_do_not_evict_valid_ones() {
        let cache = DecisionCache::new(2);
        cache.insert(b"good", Ok(valid()), at(10));
        for number in 0..100_u8 {
            cache.insert(&[number], Err(Rejection::Inactive), at(10));
        }
        assert!(cache.get(b"good", at(9)).unwrap().is_ok());
        assert!(cache.get(&[99], at(9)).unwrap().is_err());
        assert!(cache.get(&[0], at(9)).is_none(), "bounded");
    }

    #[test]
    fn decisions_end_and_the_latest_one_counts() {
        let cache = DecisionCache::new(2);
        cache.insert(b"a", Ok(valid()), at(10));
        assert!(cache.get(b"a", at(10)).is_none());
        cache.insert(b"a", Ok(valid()), at(10));
        cache.insert(b"a", Err(Rejection::Inactive), at(5));
        assert!(cache.get(b"a", at(1)).unwrap().is_err());
        assert!(cache.get(b"a", at(6)).is_none());
        assert!(DecisionCache::new(0).get(b"a", at(1)).is_none());
    }
}
