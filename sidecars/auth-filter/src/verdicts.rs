//! What was found of tokens, so that the same token is not checked by its signature again and again.
//!
//! No token is kept, only its SHA-256. A verdict holds while the key set it was found with is in force
//! and until the token ends; bad tokens are not remembered, so that strangers cannot fill the table.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use lru::LruCache;

use crate::identity::Identity;

/// The verdicts on the tokens seen last.
#[derive(Clone)]
pub(crate) struct Verdicts(Option<Arc<Mutex<LruCache<Fingerprint, Verdict>>>>);

/// A good token, found good with one edition of one issuer's keys.
#[derive(Clone)]
pub(crate) struct Verdict {
    pub(crate) issuer: usize,
    pub(crate) edition: u64,
    pub(crate) until: SystemTime,
    pub(crate) identity: Arc<Identity>,
}

/// The SHA-256 of a token.
pub(crate) type Fingerprint = [u8; 32];

impl Verdicts {
    /// A table of at most `count` verdicts; 0 remembers none.
    pub(crate) fn new(count: usize) -> Self {
        let table =
            NonZeroUsize::new(count).map(|count| Arc::new(Mutex::new(LruCache::new(count))));
        Self(table)
    }

    /// What a token is looked up by; nothing where nothing is remembered.
    pub(crate) fn fingerprint(&self, token: &[u8]) -> Option<Fingerprint> {
        self.0.as_ref()?;
        digest(&SHA256, token).as_ref().try_into().ok()
    }

    /// The verdict on a token, if its keys are still those of `edition_of` the issuer.
    pub(crate) fn find(
        &self,
        token: &Fingerprint,
        now: SystemTime,
        edition_of: impl FnOnce(usize) -> Option<u64>,
    ) -> Option<Arc<Identity>> {
        let mut table = self.table()?;
        let verdict = table.get(token)?;
        if now < verdict.until && edition_of(verdict.issuer) == Some(verdict.edition) {
            return Some(verdict.identity.clone());
        }

        table.pop(token);
        None
    }

    /// Remembers a verdict, in the place of the one not asked for the longest.
    pub(crate) fn keep(&self, token: Fingerprint, verdict: Verdict) {
        if let Some(mut table) = self.table() {
            table.put(token, verdict);
        }
    }

    fn table(&self) -> Option<MutexGuard<'_, LruCache<Fingerprint, Verdict>>> {
        // Whole after every call, so a panicking holder leaves nothing half done.
        let table = self.0.as_ref()?;
        Some(table.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.table().map(|table| table.len());
        f.debug_struct("Verdicts").field("count", &count).finish()
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

    fn verdict(edition: u64) -> Verdict {
        Verdict {
            issuer: 0,
            edition,
            until: at(100),
            identity: Arc::new(Identity::new(Credential::Token, None, "i".into())),
        }
    }

    #[test]
    fn a_verdict_holds_until_the_token_ends_and_while_the_keys_are_the_same() {
        let verdicts = Verdicts::new(4);
        let token = verdicts.fingerprint(b"a.b.c").unwrap();
        assert!(verdicts.find(&token, at(0), |_| Some(1)).is_none());
        verdicts.keep(token, verdict(1));
        assert!(verdicts.find(&token, at(99), |_| Some(1)).is_some());
        assert!(verdicts.find(&token, at(100), |_| Some(1)).is_none());
        assert!(
            verdicts.find(&token, at(0), |_| Some(1)).is_none(),
            "forgotten"
        );

        for now in [Some(2), None] {
            verdicts.keep(token, verdict(1));
            assert!(verdicts.find(&token, at(0), |_| now).is_none(), "{now:?}");
        }

        let other = verdicts.fingerprint(b"a.b.d").unwrap();
        verdicts.keep(token, verdict(1));
        assert!(verdicts.find(&other, at(0), |_| Some(1)).is_none());
    }

    #[test]
    fn the_table_is_bounded_and_may_be_nothing() {
        let verdicts = Verdicts::new(2);
        let tokens = [b"a", b"b", b"c"].map(|token| verdicts.fingerprint(token).unwrap());
        for token in tokens {
            verdicts.keep(token, verdict(1));
        }
        let found = tokens.map(|token| verdicts.find(&token, at(0), |_| Some(1)).is_some());
        assert_eq!(found, [false, true, true]);
        assert!(Verdicts::new(0).fingerprint(b"a").is_none());
    }
}
