//! Pushes what describes an image, such as its SBOM.
//!
//! Source: OCI distribution specification 1.1, "Pushing Manifests with Subject" and "Unavailable Referrers API".

use std::sync::Arc;

use serde_json::{Value, json};

use super::Progress;
use super::source::{ManifestBlob, Source};
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::layout::{ArtifactManifest, Descriptor, Layout, media_type};
use crate::referrers::referrers_tag;
use crate::session::{Access, Session};

/// The artifacts that were pushed besides an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushedReferrers {
    /// The number of artifacts that describe the image.
    pub total: usize,
    /// The number of those that the registry did not list before.
    pub added: usize,
    /// The number of those that a tag lists, since the registry has no API for them.
    pub tagged: usize,
}

impl Client {
    /// Pushes the artifacts of a layout that describe its image, which the repository of `image` must have.
    pub async fn push_referrers(
        &self,
        layout: &Layout,
        image: &str,
    ) -> Result<PushedReferrers, Error> {
        let outcome = self.push_referrers_kind(layout, image).await;
        outcome.map_err(|kind| kind.for_image(image))
    }

    async fn push_referrers_kind(
        &self,
        layout: &Layout,
        image: &str,
    ) -> Result<PushedReferrers, ErrorKind> {
        let mut pushed = PushedReferrers::default();
        let Some(referrers) = layout.referrers()? else {
            return Ok(pushed);
        };

        let access = Access::Push {
            mount_from: Vec::new(),
        };
        let session = Session::new(self.clone(), image.parse()?, access);
        for entry in &referrers.index().manifests {
            let source = Source::read_artifact(&referrers, entry)?;
            let manifest: ArtifactManifest = referrers.document(entry)?;
            // `Layout::referrers` returns only those with a subject.
            let Some(subject) = manifest.subject else {
                continue;
            };
            let subject = super::source::parse_digest(&subject)?;

            pushed.total += 1;
            match session.push_referrer(&source, entry, &subject).await? {
                Outcome::Listed => {}
                Outcome::Added => pushed.added += 1,
                Outcome::Tagged => {
                    pushed.added += 1;
                    pushed.tagged += 1;
                }
            }
        }

        Ok(pushed)
    }
}

/// How a registry lists an artifact.
enum Outcome {
    /// It did before.
    Listed,
    /// With its API.
    Added,
    /// By a tag.
    Tagged,
}

impl Session {
    async fn push_referrer(
        &self,
        source: &Source,
        entry: &Descriptor,
        subject: &Digest,
    ) -> Result<Outcome, ErrorKind> {
        // Not only whether the manifest exists: an earlier push may have ended before the list.
        if self.is_listed(entry, subject).await? {
            return Ok(Outcome::Listed);
        }

        // Documents are small: no progress is shown. A registry accepts a manifest only after its blobs.
        let progress = Arc::new(Progress::default());
        for blob in &source.blobs {
            self.push_blob(blob, None, &progress).await?;
        }
        let manifest = source.top();
        let digest = manifest.digest.as_str();
        let response = self.put_manifest(manifest, digest).await?;
        self.check_manifest(&response, manifest).await?;

        // Only a registry with the API knows the subject.
        if response.header("oci-subject").is_some() {
            return Ok(Outcome::Added);
        }
        self.add_to_tag(entry, subject).await?;
        Ok(Outcome::Tagged)
    }

    async fn is_listed(&self, entry: &Descriptor, subject: &Digest) -> Result<bool, ErrorKind> {
        if let Some(listed) = self.list_referrers(subject).await? {
            return Ok(listed.iter().any(|other| other.digest == entry.digest));
        }
        let index = self.read_tagged_index(subject).await?;
        Ok(index.is_some_and(|index| has_entry(&index, entry)))
    }

    /// Adds an entry to the index with the tag of the subject, until it is still there some time after it was written.
    ///
    /// The protocol has no conditional write. Two pushes that read the same index at once each write one without the
    /// entry of the other; the second look finds that out. A push that is slower than that is repaired by the next one.
    async fn add_to_tag(&self, entry: &Descriptor, subject: &Digest) -> Result<(), ErrorKind> {
        let tag = referrers_tag(subject);
        let mut seen = 0;
        for _ in 0..MAX_ROUNDS {
            let index = self.read_tagged_index(subject).await?;
            let mut index = index.unwrap_or_else(empty_index);
            if has_entry(&index, entry) {
                seen += 1;
                if seen == CONFIRMATIONS {
                    return Ok(());
                }
                // Random and within the limits of the client, as before a retry.
                tokio::time::sleep(self.retry_wait(0, None).unwrap_or_default()).await;
                continue;
            }

            // With all other entries as they are: signatures and SBOMs of other tools.
            seen = 0;
            if let Some(entries) = index["manifests"].as_array_mut() {
                entries.push(json!(entry));
            }
            let content = index.to_string();
            let index = ManifestBlob {
                digest: Digest::from_content(content.as_bytes()),
                media_type: media_type::INDEX.to_owned(),
                content: content.into(),
            };
            let response = self.put_manifest(&index, &tag).await?;
            self.check_manifest(&response, &index).await?;
        }

        Err(ErrorKind::ReferrersReplaced { tag })
    }
}

fn empty_index() -> Value {
    json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [] })
}

fn has_entry(index: &Value, entry: &Descriptor) -> bool {
    let entries = index["manifests"].as_array();
    let mut entries = entries.into_iter().flatten();
    entries.any(|other| other["digest"] == entry.digest.as_str())
}

/// Reads that must find the entry: right after the write, and some time later.
const CONFIRMATIONS: usize = 2;
/// Ten pushes of one image at once are more than any build system starts.
const MAX_ROUNDS: usize = 30;
