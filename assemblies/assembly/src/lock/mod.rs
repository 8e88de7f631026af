//! The lock file: the digest of each image tag at the time of locking.
//!
//! `assemblies/locks/NAME.yaml` belongs to the environment `assemblies/values/NAME.yaml`. `assemble lock` writes it,
//! it is committed, and every plan reads it: a locked tag is replaced by its digest, and the tag is kept as a label.
//! Images are identified by their full reference, since the same name in another registry is another image.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diagnostics::source::{self, Node, Source};
use diagnostics::{Finding, Location, escape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use task_definition::ImageReference;

use crate::{decode, rules};

mod pin;
mod reference;

pub use pin::{LABEL, LockMode};
pub(crate) use pin::{pin, platform};
pub use reference::is_mutable;

/// The contents of a lock file, with their locations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    file: LockFile,
    mode: LockMode,
    text: Option<(Source, Node)>,
}

/// The fields of `assemblies/locks/*.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Lock")]
struct LockFile {
    /// The version of the file format: 1.
    #[schemars(range(min = 1, max = 1))]
    lock: u32,
    /// The images, by the reference that manifests and components use.
    #[serde(default)]
    images: BTreeMap<String, LockedImage>,
}

/// The image that a tag was locked to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// The digest of the image or its index: `sha256:` and 64 digits.
    pub digest: String,
    /// Its platforms: `linux/amd64`, `linux/arm64`.
    #[serde(default)]
    pub platforms: Vec<String>,
}

impl Lock {
    /// Reads a lock file.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let (file, mut findings) = decode::read::<LockFile>(source, &node);
        let Some(file) = file else {
            return Err(findings);
        };
        let lock = Self {
            file,
            mode: LockMode::default(),
            text: Some((source.clone(), node)),
        };

        findings.extend(lock.invalid_entries());
        if findings.is_empty() {
            Ok(lock)
        } else {
            Err(findings)
        }
    }

    /// Sets how many images of a task must be locked.
    pub fn with_mode(self, mode: LockMode) -> Self {
        Self { mode, ..self }
    }

    /// Returns the image that a reference with a tag is locked to.
    pub fn get(&self, image: &str) -> Option<&LockedImage> {
        self.file.images.get(image)
    }

    /// Returns every reference with its image, sorted.
    pub fn images(&self) -> impl Iterator<Item = (&str, &LockedImage)> {
        self.file
            .images
            .iter()
            .map(|(image, locked)| (image.as_str(), locked))
    }

    /// Locks a reference, and replaces an existing entry.
    pub fn insert(&mut self, image: impl Into<String>, locked: LockedImage) {
        self.file.images.insert(image.into(), locked);
    }

    /// Removes every reference for which the predicate returns false.
    pub fn retain(&mut self, is_used: impl Fn(&str) -> bool) {
        self.file.images.retain(|image, _| is_used(image));
    }

    /// Formats the file. The same images always give the same bytes.
    pub fn to_yaml(&self) -> String {
        let mut text = HEADER.to_owned();
        if self.file.images.is_empty() {
            text.push_str("images: {}\n");
            return text;
        }

        text.push_str("images:\n");
        for (image, LockedImage { digest, platforms }) in self.images() {
            let _ = writeln!(text, "  \"{image}\":\n    digest: {digest}");
            if !platforms.is_empty() {
                let _ = writeln!(text, "    platforms: [{}]", platforms.join(", "));
            }
        }

        text
    }

    /// Returns the locked references of the same repository.
    fn other_tags<'l>(&'l self, image: &'l str) -> impl Iterator<Item = &'l str> {
        let repository = ImageReference::parse(image).repository();
        // Also the same tag; the caller has looked that up before.
        let others = self.file.images.keys().map(String::as_str);
        others.filter(move |other| ImageReference::parse(other).repository() == repository)
    }

    /// Returns the location of an entry's field.
    fn location(&self, image: &str, field: &str) -> Option<Location> {
        let (source, node) = self.text.as_ref()?;
        let node = node.at(&format!("/images/{}{field}", escape(image)))?;
        Some(Location::from_span(source, node.span))
    }

    /// Reports malformed entries.
    fn invalid_entries(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (image, locked) in self.images() {
            // Entries that were inserted by code have no location, and come from a registry.
            let at = |field| self.location(image, field).into_iter();
            if !is_mutable(image) {
                findings.extend(
                    at("")
                        .map(|location| rules::m52_invalid_lock_entry::not_a_tag(location, image)),
                );
            }

            if !is_digest(&locked.digest) {
                let digest = &locked.digest;
                findings.extend(at("/digest").map(|location| {
                    rules::m52_invalid_lock_entry::invalid_digest(location, digest)
                }));
            }
        }

        findings
    }
}

fn is_digest(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or_default();
    let is_hex = |digit: char| matches!(digit, '0'..='9' | 'a'..='f');
    digits.len() == 64 && digits.chars().all(is_hex)
}

const HEADER: &str = "\
# The image of each tag when it was locked. Commit this file.
# `assemble lock` writes it; `assemble lock --check` asks the registries whether a tag has moved since.
lock: 1
";

#[cfg(test)]
mod tests {
    use super::*;

    fn locked_image(digit: &str) -> LockedImage {
        LockedImage {
            digest: format!("sha256:{}", digit.repeat(64)),
            platforms: vec!["linux/amd64".to_owned()],
        }
    }

    #[test]
    fn round_trips_a_lock() {
        let mut lock = Lock::default();
        lock.insert("registry.example:5000/b:1", locked_image("b"));
        // A reference without a tag means `latest`, and is locked like any other.
        lock.insert("a", locked_image("a"));
        let text = lock.to_yaml();
        let parsed = Lock::read(&Source::new("lock.yaml", text.clone())).unwrap();
        assert_eq!(
            parsed.images().collect::<Vec<_>>(),
            lock.images().collect::<Vec<_>>()
        );
        assert_eq!(parsed.to_yaml(), text);
    }

    #[test]
    fn round_trips_an_empty_lock() {
        let text = Lock::default().to_yaml();
        assert_eq!(
            Lock::read(&Source::new("lock.yaml", text))
                .unwrap()
                .images()
                .count(),
            0
        );
    }
}
