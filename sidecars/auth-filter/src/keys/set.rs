//! A JSON Web Key Set, and which of its keys are fit to be used.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use crate::jws::{Algorithm, Jwk, Key, KeyError, parse_object};

/// The keys of an issuer at one moment. There is at least one: an empty set cannot be made.
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
    /// Its id, when it has one.
    pub id: Option<String>,
    /// Why it is not used.
    pub reason: IgnoreReason,
}

/// Why a published key is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreReason {
    /// The key itself is unfit.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A member has the wrong type.
    #[error("the key is not a JSON Web Key")]
    Malformed,
    /// Two keys have the same id, so that neither can be meant.
    #[error("another key has the same `kid`")]
    DuplicateId,
}

/// Why a document is no key set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// The document is not `{"keys": […]}`.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// There are more keys than any issuer has.
    #[error("more than {} keys", KeySet::MAX_KEYS)]
    TooMany,
    /// No key can be used; a good set is never replaced by such a one.
    #[error("no usable key{}", format_ignored(.0))]
    Empty(Vec<IgnoredKey>),
}

impl KeySet {
    /// More keys than this are refused: a token without a key id is tried on all of them.
    pub const MAX_KEYS: usize = 64;

    /// Reads a key set and keeps the keys that are fit for one of the `allowed` algorithms.
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

    /// The keys a token may have been signed with: the one it names, or all when it names none.
    pub fn candidates<'s>(&'s self, id: Option<&'s str>) -> impl Iterator<Item = &'s Key> {
        self.keys
            .iter()
            .filter(move |key| id.is_none() || key.id() == id)
    }

    /// Whether the set has a key with this id.
    pub fn contains(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id() == Some(id))
    }

    /// The ids of the usable keys, `-` for a key without one.
    pub fn ids(&self) -> Vec<&str> {
        self.keys
            .iter()
            .map(|key| key.id().unwrap_or("-"))
            .collect()
    }

    /// A number that no other set of this process has: what was found with one generation says nothing
    /// about the next.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether both were read from the same bytes.
    pub(super) fn is_same_document(&self, other: &Self) -> bool {
        self.document == other.document
    }

    /// What was published but is not used.
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
