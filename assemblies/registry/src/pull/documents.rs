//! Reads the manifest and the configuration of an image.

use serde::de::DeserializeOwned;

use super::parse_digest;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::layout::{Descriptor, ImageConfig, ImageManifest, media_type};
use crate::manifest;
use crate::session::Session;
use crate::store::Store;

/// Reads documents from the store, or from the registry into the store.
pub(super) struct Documents<'c> {
    pub(super) session: Session,
    pub(super) store: &'c Store,
}

impl Documents<'_> {
    /// Returns what the reference names: an index or a manifest.
    pub(super) async fn top(&self) -> Result<(Digest, Vec<u8>), ErrorKind> {
        let limit = self.session.limits().max_response_bytes;
        if let Some(digest) = self.session.reference().digest().cloned()
            && let Some(text) = self.store.read(&digest, limit)
        {
            return Ok((digest, text));
        }

        let path = format!("manifests/{}", self.session.reference().tag_or_digest());
        let response = self.session.fetch(&path, manifest::ACCEPT).await?;
        let digest = self.session.verify(&response)?;
        // Only documents are kept: a login page is not one.
        self.parse::<serde_json::Value>(&response.body)?;
        self.store.write(&response.body)?;
        Ok((digest, response.body.to_vec()))
    }

    pub(super) async fn manifest(
        &self,
        descriptor: &Descriptor,
    ) -> Result<ImageManifest, ErrorKind> {
        let text = self.document("manifests", descriptor).await?;
        let manifest: serde_json::Value = self.parse(&text)?;
        let kind = manifest
            .pointer("/config/mediaType")
            .and_then(|kind| kind.as_str());
        // Helm charts, signatures and the like are stored in the same form with another kind of configuration.
        if !matches!(kind, Some(media_type::CONFIG | media_type::DOCKER_CONFIG)) {
            let kind = kind.or(manifest["mediaType"].as_str()).unwrap_or("unknown");
            return Err(ErrorKind::NotAnImage(kind.chars().take(100).collect()));
        }
        self.parse(&text)
    }

    pub(super) async fn config(&self, descriptor: &Descriptor) -> Result<ImageConfig, ErrorKind> {
        let text = self.document("blobs", descriptor).await?;
        self.parse(&text)
    }

    async fn document(&self, kind: &str, descriptor: &Descriptor) -> Result<Vec<u8>, ErrorKind> {
        let digest = parse_digest(&descriptor.digest)?;
        let limit = self.session.limits().max_response_bytes;
        if let Some(text) = self.store.read(&digest, limit) {
            return Ok(text);
        }

        let accept = if kind == "blobs" {
            "*/*"
        } else {
            manifest::ACCEPT
        };
        let path = format!("{kind}/{digest}");
        let response = self.session.fetch(&path, accept).await?;
        let actual = Digest::from_content(&response.body);
        if actual != digest {
            return Err(ErrorKind::DigestMismatch {
                host: self.session.host(),
                expected: digest.to_string(),
                actual,
            });
        }
        self.store.write(&response.body)?;
        Ok(response.body.to_vec())
    }

    pub(super) fn parse<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, ErrorKind> {
        serde_json::from_slice(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => self.session.invalid_response(&error.to_string()),
            _ => self.session.invalid_response("not JSON"),
        })
    }
}
