//! API keys: stored as SHA-256 only, compared in constant time.
//!
//! A key is hashed before it is compared, and compared with every entry to the last byte. So the
//! time reveals neither how much of a guess is right nor which entry is close.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use crate::identity::{Credential, Identity};

/// An API key as written in the settings, in a file or in a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its holder, used as the subject and in the audit.
    pub id: String,
    /// SHA-256 of the key in 64 hexadecimal digits; `auth-filter api-key ID` generates both.
    pub sha256: String,
    /// The granted scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Expiry in RFC 3339: `2027-01-31T00:00:00Z`; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// The accepted API keys.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    header: HeaderName,
    table: watch::Receiver<Arc<[Entry]>>,
}

/// The task that reloads a file of API keys when it changes; runs until dropped.
#[derive(Debug)]
pub struct Reloader {
    path: Option<PathBuf>,
    version: Option<FileVersion>,
    /// Keys that do not come from the file.
    static_keys: Vec<Entry>,
    table: watch::Sender<Arc<[Entry]>>,
}

/// Why an API key is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The header is duplicated.
    #[error("the header of the API key is duplicated")]
    Duplicate,
    /// No entry has this key.
    #[error("the API key is unknown")]
    Unknown,
    /// The key has expired.
    #[error("the API key has expired")]
    Expired,
}

/// Why a list of API keys is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyListError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The text is not a list of keys.
    #[error("not a JSON list of keys like {{\"id\": …, \"sha256\": …}}: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry is invalid.
    #[error("key {} (`{id}`): {error}", .index + 1)]
    Entry {
        /// Its index, from 0.
        index: usize,
        /// Its id.
        id: String,
        /// The error.
        error: &'static str,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    sha256: [u8; 32],
    identity: Arc<Identity>,
}

#[derive(Debug, PartialEq, Eq)]
struct FileVersion {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl ApiKeys {
    /// Loads the static keys and those in the file at `path`; also returns the task that reloads
    /// the file.
    pub fn new(
        header: HeaderName,
        static_keys: &[ApiKey],
        path: Option<PathBuf>,
    ) -> Result<(Self, Reloader), ApiKeyListError> {
        let mut reloader = Reloader {
            path,
            version: None,
            static_keys: parse_entries(static_keys)?,
            table: watch::Sender::new(Arc::new([])),
        };

        reloader.read()?;
        let table = reloader.table.subscribe();
        Ok((Self { header, table }, reloader))
    }

    /// Returns the header that carries the key.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Returns the identity of a key that has not expired.
    pub fn identity(&self, key: &[u8], now: SystemTime) -> Result<Arc<Identity>, ApiKeyError> {
        let table = self.table.borrow().clone();
        let entry = find(&table, &hash(key), |a, b| {
            verify_slices_are_equal(a, b).is_ok()
        });
        let identity = &entry.ok_or(ApiKeyError::Unknown)?.identity;
        if identity.expires.is_some_and(|expires| expires <= now) {
            return Err(ApiKeyError::Expired);
        }
        Ok(Arc::clone(identity))
    }
}

/// Finds an entry and compares all of them, so that the time does not depend on its position.
fn find<'t>(
    table: &'t [Entry],
    hash: &[u8; 32],
    equal: impl Fn(&[u8], &[u8]) -> bool,
) -> Option<&'t Entry> {
    table.iter().fold(None, |found, entry| {
        let equal = equal(&entry.sha256, hash);
        if equal { Some(entry) } else { found }
    })
}

impl Reloader {
    /// Reloads the file forever; an invalid file keeps the current keys.
    pub async fn run(mut self) -> Infallible {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            match self.read() {
                Ok(false) => {}
                Ok(true) => {
                    let count = self.table.borrow().len();
                    tracing::info!(count, "API keys reloaded");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot reload API keys; keeping the current ones");
                }
            }
        }
    }

    /// Reloads the file if it changed and returns whether it did.
    fn read(&mut self) -> Result<bool, ApiKeyListError> {
        let Some(path) = &self.path else {
            self.table.send_replace(self.static_keys.clone().into());
            return Ok(false);
        };

        let unreadable = |source| ApiKeyListError::File {
            path: path.clone(),
            source,
        };
        let version = file_version(path).map_err(unreadable)?;

        if self.version.as_ref() == Some(&version) {
            return Ok(false);
        }

        let text = fs::read_to_string(path).map_err(unreadable)?;
        // Recorded before parsing: an invalid file is reported once, not at every poll.
        self.version = Some(version);
        let all = [self.static_keys.clone(), parse_entries(&parse(&text)?)?].concat();

        self.table.send_replace(all.into());
        Ok(true)
    }
}

fn file_version(path: &Path) -> io::Result<FileVersion> {
    let metadata = fs::metadata(path)?;
    Ok(FileVersion {
        modified: metadata.modified().ok(),
        bytes: metadata.len(),
    })
}

/// Parses a list of keys from a file or secret.
pub(crate) fn parse(text: &str) -> Result<Vec<ApiKey>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Formats the hash of a key as in the settings.
pub(crate) fn fingerprint(key: &str) -> String {
    use std::fmt::Write as _;
    hash(key.as_bytes())
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn parse_entries(keys: &[ApiKey]) -> Result<Vec<Entry>, ApiKeyListError> {
    let mut ids = HashSet::new();
    let entry = |(index, key): (usize, &ApiKey)| {
        let entry_error = |error| ApiKeyListError::Entry {
            index,
            id: key.id.clone(),
            error,
        };

        if key.id.is_empty() || !ids.insert(key.id.clone()) {
            return Err(entry_error("`id` is empty or duplicated"));
        }

        let sha256 = parse_sha256(&key.sha256)
            .ok_or_else(|| entry_error("`sha256` is not 64 hexadecimal digits"))?;
        let expires = key.expires.as_deref().map(|text| {
            let time = OffsetDateTime::parse(text, &Rfc3339);
            time.map(SystemTime::from)
        });
        let expires = expires
            .transpose()
            .map_err(|_| entry_error("`expires` is not a time like 2027-01-31T00:00:00Z"))?;

        let id = Some(key.id.clone());
        let identity = Arc::new(Identity {
            scopes: key.scopes.clone(),
            expires,
            ..Identity::new(Credential::ApiKey, id, "api-key".to_owned())
        });
        Ok(Entry { sha256, identity })
    };

    keys.iter().enumerate().map(entry).collect()
}

fn hash(key: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, key).as_ref());
    hash
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

/// How often the file is checked for changes.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::UNIX_EPOCH;

    fn key(id: &str, key: &str) -> ApiKey {
        ApiKey {
            id: id.into(),
            sha256: fingerprint(key),
            scopes: vec!["coins.read".into()],
            expires: None,
        }
    }

    fn api_keys(keys: &[ApiKey]) -> ApiKeys {
        let header = HeaderName::from_static("x-api-key");
        ApiKeys::new(header, keys, None).unwrap().0
    }

    #[test]
    fn identifies_the_key_until_it_expires() {
        let mut ending = key("job", "secret-2");
        ending.expires = Some("2001-09-09T01:46:40Z".into());
        let keys = api_keys(&[key("web", "secret-1"), ending]);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let web = keys.identity(b"secret-1", SystemTime::now()).unwrap();

        assert_eq!(web.subject.as_deref(), Some("web"));
        assert_eq!(web.scopes, ["coins.read"]);
        assert!(keys.identity(b"secret-2", at(999_999_999)).is_ok());

        let result = keys.identity(b"secret-2", at(1_000_000_000));
        assert_eq!(result, Err(ApiKeyError::Expired));
        // Prefix, extension and case variants of a valid key.
        for wrong in [&b""[..], b"secret-", b"secret-11", b"SECRET-1"] {
            let found = keys.identity(wrong, SystemTime::now());
            assert_eq!(found, Err(ApiKeyError::Unknown));
        }

        // The stored hash does not work as a key.
        let hash = fingerprint("secret-1");
        assert!(keys.identity(hash.as_bytes(), SystemTime::now()).is_err());
    }

    #[test]
    fn compares_every_entry() {
        let names = ["a", "b", "c", "d"];
        let table = parse_entries(&names.map(|name| key(name, name))).unwrap();
        for key_text in ["a", "d", "e", ""] {
            // No early return: every entry is compared for a match as well as for a miss.
            let compared = Cell::new(0);
            let found = find(&table, &hash(key_text.as_bytes()), |a, b| {
                assert_eq!((a.len(), b.len()), (32, 32));
                compared.set(compared.get() + 1);
                a == b
            });

            assert_eq!(found.is_some(), names.contains(&key_text));
            assert_eq!(compared.get(), 4, "{key_text}");
        }
    }

    #[test]
    fn reports_the_position_of_an_invalid_entry() {
        let error = |list: &str| {
            let keys = parse(list).map_err(ApiKeyListError::from);
            keys.and_then(|keys| parse_entries(&keys))
                .unwrap_err()
                .to_string()
        };

        assert!(error("{}").contains("not a JSON list"));
        assert!(error(r#"[{"id":"a","key":"x"}]"#).contains("unknown field `key`"));
        assert!(error(r#"[{"id":"a","sha256":"xy"}]"#).contains("key 1 (`a`): `sha256`"));

        let hash = fingerprint("x");
        let duplicate =
            format!(r#"[{{"id":"a","sha256":"{hash}"}},{{"id":"a","sha256":"{hash}"}}]"#);
        assert!(error(&duplicate).contains("key 2 (`a`): `id`"));
        let when = format!(r#"[{{"id":"a","sha256":"{hash}","expires":"tomorrow"}}]"#);
        assert!(error(&when).contains("`expires`"));
    }

    #[test]
    fn reloads_a_changed_file_and_keeps_keys_on_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let write = |text: &str| fs::write(&path, text).unwrap();
        let list = |keys: &[ApiKey]| serde_json::to_string(keys).unwrap();

        write(&list(&[key("web", "one")]));
        let header = HeaderName::from_static("x-api-key");
        let (keys, mut reloader) =
            ApiKeys::new(header, &[key("fixed", "zero")], Some(path.clone())).unwrap();
        let is_known = |key: &[u8]| keys.identity(key, SystemTime::now()).is_ok();

        assert!(is_known(b"zero") && is_known(b"one"));
        // Not JSON. The error is reported once, then the file counts as seen.
        write("[{]");
        assert!(reloader.read().is_err());
        assert!(!reloader.read().unwrap(), "reported once");
        assert!(is_known(b"zero") && is_known(b"one"));
        write(&list(&[key("web", "two"), key("job", "three")]));
        assert!(reloader.read().unwrap());
        assert!(is_known(b"zero") && is_known(b"two") && is_known(b"three") && !is_known(b"one"));
    }
}
