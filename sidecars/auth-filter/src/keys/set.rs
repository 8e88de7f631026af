//! JSON Web Key Sets, and which of their keys are usable.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use crate::jws::{Algorithm, Jwk, Key, KeyError, parse_object};

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
    /// Several keys have this id, so that it is ambiguous.
    #[error("another key has the same `kid`")]
    DuplicateId,
}

/// Why a document is not a usable key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The document is not `{"keys": […]}`.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// There are more than [`KeySet::MAX_KEYS`] keys.
    #[error("more than {} keys", KeySet::MAX_KEYS)]
    TooMany,
    /// No key is usable; such a set never replaces a good one.
    #[error("no usable key{}", format_ignored(.0))]
    Empty(Vec<IgnoredKey>),
}

impl KeySet {
    /// Maximum number of keys: a token without a key id is tried with all of them.
    pub const MAX_KEYS: usize = 64;

    /// Parses a key set and keeps the keys that are usable with an `allowed` algorithm.
    pub fn parse(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let published: JwksDocument = parse_object(json).ok_or(KeySetError::Malformed)?;
        if published.keys.len() > Self::MAX_KEYS {
            return Err(KeySetError::TooMany);
        }

        let mut set = Self {
            keys: Vec::new(),
            ignored: Vec::new(),
            document: digest(&SHA256, json).as_ref().to_vec(),
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
        };

        let counts = count_ids(&published.keys);
        for value in published.keys {
            let id = key_id(&value).map(str::to_owned);
            // RFC 7517 4.5: ids should be distinct. With equal ones a token could select either
            // key.
            let is_duplicate = id
                .as_ref()
                .is_some_and(|id| counts.get(id).is_some_and(|times| *times > 1));

            match if is_duplicate {
                Err(IgnoreReason::DuplicateId)
            } else {
                parse_key(value, allowed)
            } {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.ignored.push(IgnoredKey { id, reason }),
            }
        }

        if set.keys.is_empty() {
            Err(KeySetError::Empty(set.ignored))
        } else {
            Ok(set)
        }
    }

    /// Returns the keys to try: the one with this id, or all without an id.
    pub fn candidates<'s>(&'s self, id: Option<&'s str>) -> impl Iterator<Item = &'s Key> {
        self.keys
            .iter()
            .filter(move |key| id.is_none() || key.id() == id)
    }

    /// Returns whether the set contains a key with this id.
    pub fn contains(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(id))
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

fn count_ids(keys: &[serde_json::Value]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for id in keys.iter().filter_map(key_id) {
        *counts.entry(id.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn format_ignored(ignored: &[IgnoredKey]) -> String {
    ignored
        .iter()
        .map(|key| format!("; {key}"))
        .collect::<Vec<_>>()
        .concat()
}
