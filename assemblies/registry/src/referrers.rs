//! Reads what describes an image in a registry, such as its SBOM.
//!
//! ```text
//! subject ─▶ GET referrers/DIGEST ─ 404 ─▶ GET manifests/sha256-HEX ─▶ entries ─▶ artifact manifest ─▶ document
//! ```
//!
//! Source: OCI distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema".

use http::header::ACCEPT;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::time::timeout;

use crate::call::Call;
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::layout::{ArtifactManifest, Descriptor, Index, media_type};
use crate::manifest::{self, Platform};
use crate::repository::next_page;
use crate::session::{Access, Session};

/// A document that describes an image of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedArtifact {
    /// The manifest of the image, or its index.
    pub subject: Digest,
    /// The manifest of the artifact.
    pub manifest: Digest,
    /// The document.
    pub content: Vec<u8>,
    /// The number of other artifacts of the same kind.
    pub others: usize,
}

/// The result of a search for an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadArtifact {
    /// The document.
    Found(AttachedArtifact),
    /// The image has none of this kind; these kinds it has, sorted.
    Missing(Vec<String>),
}

impl Client {
    /// Reads the document of a kind that describes an image; of an index, that of a platform or else of its first one.
    pub async fn read_artifact(
        &self,
        image: &str,
        platform: Option<&Platform>,
        artifact_type: &str,
    ) -> Result<ReadArtifact, Error> {
        let outcome = self.read_artifact_kind(image, platform, artifact_type);
        outcome.await.map_err(|kind| kind.for_image(image))
    }

    async fn read_artifact_kind(
        &self,
        image: &str,
        platform: Option<&Platform>,
        artifact_type: &str,
    ) -> Result<ReadArtifact, ErrorKind> {
        let session = Session::new(self.clone(), image.parse()?, Access::Pull);
        let mut kinds = Vec::new();
        for subject in session.subjects(platform).await? {
            let entries = session.find_referrers(&subject).await?;
            let is_wanted =
                |entry: &&Descriptor| entry.artifact_type.as_deref() == Some(artifact_type);
            let mut found: Vec<&Descriptor> = entries.iter().filter(is_wanted).collect();

            // The order of a list is not specified. The latest one, or the same one every time where it has no date.
            found.sort_by_key(|entry| (entry.annotations.get(CREATED), &entry.digest));
            if let Some(latest) = found.last() {
                let manifest = session.parse_digest(&latest.digest)?;
                let content = session.read_document(&manifest, artifact_type).await?;
                return Ok(ReadArtifact::Found(AttachedArtifact {
                    subject,
                    manifest,
                    content,
                    others: found.len() - 1,
                }));
            }
            kinds.extend(entries.into_iter().filter_map(|entry| entry.artifact_type));
        }

        kinds.sort();
        kinds.dedup();
        Ok(ReadArtifact::Missing(kinds))
    }
}

impl Session {
    /// Returns the manifests that an artifact of the image can describe: that of the platform, and the index.
    async fn subjects(&self, platform: Option<&Platform>) -> Result<Vec<Digest>, ErrorKind> {
        let path = format!("manifests/{}", self.reference().tag_or_digest());
        let response = self.fetch(&path, manifest::ACCEPT).await?;
        let top = self.verify(&response)?;
        let document: Value = self.json(&response)?;
        if document["manifests"].is_null() {
            return Ok(vec![top]);
        }

        let index: Index = self.json(&response)?;
        let platform_of = |entry: &Descriptor| {
            let platform = entry.platform.as_ref()?;
            // An attestation is no image (BuildKit, "Attestation storage").
            (platform.os != "unknown").then(|| Platform::new(&platform.os, &platform.architecture))
        };
        let mut entries = index.manifests.iter();
        let chosen = entries.find(|entry| {
            platform_of(entry).is_some_and(|own| platform.is_none_or(|wanted| own == *wanted))
        });
        match (chosen, platform) {
            (Some(entry), _) => Ok(vec![self.parse_digest(&entry.digest)?, top]),
            (None, None) => Ok(vec![top]),
            (None, Some(platform)) => Err(ErrorKind::MissingPlatform {
                platform: platform.to_string(),
                available: (index.manifests.iter().filter_map(platform_of))
                    .map(|platform| platform.to_string())
                    .collect(),
            }),
        }
    }

    /// Returns what describes a manifest, by the API or else by the tag.
    async fn find_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, ErrorKind> {
        if let Some(entries) = self.list_referrers(subject).await?
            && !entries.is_empty()
        {
            return Ok(entries);
        }

        // Also of a registry that got the API later: its older lists are tags.
        let Some(index) = self.read_tagged_index(subject).await? else {
            return Ok(Vec::new());
        };
        let index: Result<Index, _> = serde_json::from_value(index);
        let index = index.map_err(|error| self.invalid_response(&error.to_string()))?;
        Ok(index.manifests)
    }

    /// Returns what describes a manifest, page by page; `None` if the registry has no API for that.
    pub(crate) async fn list_referrers(
        &self,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, ErrorKind> {
        let mut url = self.url(&format!("referrers/{subject}"));
        let mut entries = Vec::new();
        for _ in 0..MAX_PAGES {
            let call = Call::new(Method::GET, url.clone()).with(ACCEPT, media_type::INDEX);
            let response = self.call(&call).await?;
            match response.status {
                StatusCode::OK => {}
                // 404 by the specification; others are from registries and proxies that know no such path. If it is the
                // login, the request for the tag says so.
                status if status.is_client_error() => return Ok(None),
                _ => return Err(self.status(&response)),
            }

            let page: Index = self.json(&response)?;
            entries.extend(page.manifests);
            match response.header("link").and_then(next_page) {
                Some(next) => url = self.resolve_location(&url, next)?,
                None => return Ok(Some(entries)),
            }
        }

        Err(self.invalid_response("more than 100 pages of referrers"))
    }

    /// Returns the index with the referrers tag of a manifest, with all its fields; `None` if there is no such tag.
    pub(crate) async fn read_tagged_index(
        &self,
        subject: &Digest,
    ) -> Result<Option<Value>, ErrorKind> {
        let tag = referrers_tag(subject);
        let Some(response) = self.read_manifest(&tag).await? else {
            return Ok(None);
        };

        let index: Value = self.json(&response)?;
        if index["manifests"].is_array() {
            Ok(Some(index))
        } else {
            let reason = format!("the tag `{tag}` has no index");
            Err(self.invalid_response(&reason))
        }
    }

    /// Reads the document of an artifact.
    async fn read_document(
        &self,
        manifest: &Digest,
        media_type: &str,
    ) -> Result<Vec<u8>, ErrorKind> {
        let path = format!("manifests/{manifest}");
        let response = self.fetch(&path, manifest::ACCEPT).await?;
        self.check_content(manifest, &response.body)?;
        let artifact: ArtifactManifest = self.json(&response)?;
        let Some(document) = artifact.document(media_type) else {
            return Err(self.invalid_response("an artifact without a document"));
        };

        let digest = self.parse_digest(&document.digest)?;
        let content = self.read_blob(&digest).await?;
        self.check_content(&digest, &content)?;
        Ok(content)
    }

    /// Reads a blob within the limits of size and time.
    async fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, ErrorKind> {
        let host = self.host();
        let body = self.open_blob(digest, 0).await?.into_body();
        let limit = self.limits().request_timeout;
        let read = timeout(limit, Limited::new(body, MAX_DOCUMENT_BYTES).collect()).await;
        let Ok(read) = read else {
            return Err(ErrorKind::Timeout { host, limit });
        };
        match read {
            Ok(content) => Ok(content.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => Err(ErrorKind::TooLarge {
                host,
                limit: MAX_DOCUMENT_BYTES,
            }),
            Err(error) => Err(ErrorKind::Interrupted {
                host,
                cause: error.to_string(),
            }),
        }
    }

    fn check_content(&self, expected: &Digest, content: &[u8]) -> Result<(), ErrorKind> {
        let actual = Digest::from_content(content);
        if actual == *expected {
            return Ok(());
        }
        Err(ErrorKind::DigestMismatch {
            host: self.host(),
            expected: expected.to_string(),
            actual,
        })
    }

    fn parse_digest(&self, text: &str) -> Result<Digest, ErrorKind> {
        let digest = text.parse();
        digest.map_err(|error| self.invalid_response(&format!("an invalid manifest: {error}")))
    }
}

/// Returns the tag with which a registry without the API lists what describes a manifest.
pub(crate) fn referrers_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

const CREATED: &str = "org.opencontainers.image.created";
const MAX_PAGES: usize = 100;
/// An SBOM with every file of a large image; those of single programs are smaller than 1 MiB.
const MAX_DOCUMENT_BYTES: usize = 32 << 20;
