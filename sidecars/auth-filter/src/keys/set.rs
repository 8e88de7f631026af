//! JSON Web Key Sets, and which of their keys are usable.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use crate::jws::{Algorithm, Jwk, Key, KeyError, parse_document};

/// The keys of an issuer at one time; never empty.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    ignored: Vec<IgnoredKey>,
    document: Vec<u8>,
    generation: u64,
}

/// A published key that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Its id, if present.
    pub id: Option<String>,
    /// Why it is not used.
    pub reason: IgnoreReason,
}

/// Why a published key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreReason {
    /// The key itself is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A member has the wrong type.
    #[error("the key is not a JSON Web Key")]
    Malformed,
    /// Another key has this id and a common algorithm, so that a token does not tell which it means.
    #[error("another key has the same `kid` and algorithm")]
    DuplicateId,
    /// There are [`KeySet::MAX_KEYS`] other keys.
    #[error("more than {} keys", KeySet::MAX_KEYS)]
    TooMany,
}

/// Why a document is not a usable key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The document is not `{"keys": […]}`.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// No key is usable; such a set never replaces a good one.
    #[error("no usable key{}", format_ignored(.0))]
    Empty(Vec<IgnoredKey>),
}

impl KeySet {
    /// Maximum number of usable keys; further ones are ignored.
    pub const MAX_KEYS: usize = 512;
    /// Maximum number of keys that one token is tried with, to bound the work for it.
    pub const MAX_CANDIDATES: usize = 64;

    /// Parses a key set and keeps the keys that are usable with an `allowed` algorithm.
    pub fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let published: JwksDocument = parse_document(json).ok_or(KeySetError::Malformed)?;
        let mut set = Self {
            keys: Vec::new(),
            ignored: Vec::new(),
            document: digest(&SHA256, json).as_ref().to_vec(),
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
        };

        // Unusable keys first: a key for encryption may share its id with the one for signatures.
        for value in published.keys {
            let id = key_id(&value).map(str::to_owned);
            match parse_key(value, allowed) {
                Ok(key) => set.add(key),
                Err(reason) => set.ignored.push(IgnoredKey { id, reason }),
            }
        }
        set.ignore_ambiguous_keys();

        if set.keys.is_empty() {
            Err(KeySetError::Empty(set.ignored))
        } else {
            Ok(set)
        }
    }

    /// Returns the keys to try: those with this id, or else those without any; for a token without an
    /// id all of them.
    pub fn candidates<'s>(&'s self, id: Option<&'s str>) -> impl Iterator<Item = &'s Key> {
        // A key without an id can be the key of any token: RFC 7517 section 4.5 makes `kid` optional.
        let is_known = self.keys.iter().any(|key| key.id() == id);
        self.keys
            .iter()
            .filter(move |key| match (id, key.id()) {
                (None, _) => true,
                (Some(_), None) => !is_known,
                (id, key_id) => key_id == id,
            })
            .take(Self::MAX_CANDIDATES)
    }

    /// Returns whether the set contains a key for tokens with this id.
    pub fn contains(&self, id: &str) -> bool {
        self.candidates(Some(id)).next().is_some()
    }

    /// Returns the ids of the usable keys, `-` for a key without one.
    pub fn ids(&self) -> Vec<&str> {
        self.keys
            .iter()
            .map(|key| key.id().unwrap_or("-"))
            .collect()
    }

    /// Returns a number unique in this process: tokens cached for one generation are not valid for
    /// another.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns whether both were parsed from the same bytes.
    pub(super) fn is_same_document(&self, other: &Self) -> bool {
        self.document == other.document
    }

    /// Adds a key, merged with an equal one.
    fn add(&mut self, key: Key) {
        if let Some(known) = self.keys.iter_mut().find(|known| known.is_same_key(&key)) {
            known.merge(key);
        } else if self.keys.len() < Self::MAX_KEYS {
            self.keys.push(key);
        } else {
            let id = key.id().map(str::to_owned);
            let reason = IgnoreReason::TooMany;
            self.ignored.push(IgnoredKey { id, reason });
        }
    }

    /// Moves keys with the same id and algorithm to the ignored ones. RFC 7517 section 4.5: ids should
    /// be distinct; with equal ones a token could select either key.
    fn ignore_ambiguous_keys(&mut self) {
        let is_ambiguous: Vec<bool> = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| {
                let mut others = self.keys.iter().enumerate();
                others.any(|(other, candidate)| other != index && key.is_ambiguous_with(candidate))
            })
            .collect();

        let mut ambiguous = is_ambiguous.into_iter();
        let ignored = self.keys.extract_if(.., |_| ambiguous.next() == Some(true));
        let ignored = ignored.map(|key| IgnoredKey {
            id: key.id().map(str::to_owned),
            reason: IgnoreReason::DuplicateId,
        });
        // The first to be reported: it is the reason that is hardest to see in the document.
        self.ignored.splice(0..0, ignored);
    }

    /// Returns the published keys that are not used.
    pub fn ignored_keys(&self) -> &[IgnoredKey] {
        &self.ignored
    }
}

static GENERATIONS: AtomicU64 = AtomicU64::new(0);

impl fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is ignored: {}",
            self.id.as_deref().unwrap_or("-"),
            self.reason
        )
    }
}

#[derive(Deserialize)]
struct JwksDocument {
    keys: Vec<serde_json::Value>,
}

fn parse_key(value: serde_json::Value, allowed: &[Algorithm]) -> Result<Key, IgnoreReason> {
    let jwk: Jwk = value
        .is_object()
        .then(|| serde_json::from_value(value))
        .ok_or(IgnoreReason::Malformed)?
        .map_err(|_| IgnoreReason::Malformed)?;
    Ok(Key::from_jwk(&jwk, allowed)?)
}

fn key_id(value: &serde_json::Value) -> Option<&str> {
    value.get("kid")?.as_str()
}

fn format_ignored(ignored: &[IgnoredKey]) -> String {
    ignored
        .iter()
        .map(|key| format!("; {key}"))
        .collect::<Vec<_>>()
        .concat()
}
