//! The manifests of a push, and its tag.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};

use super::ExistingTag;
use super::source::ManifestBlob;
use crate::call::Call;
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::manifest;
use crate::session::Session;
use crate::transport::Response;

impl Session {
    /// Returns whether the tag has this image already. A tag with another image is an error unless it may move.
    pub(super) async fn check_tag(
        &self,
        digest: &Digest,
        existing_tag: ExistingTag,
    ) -> Result<bool, ErrorKind> {
        let tag = self.reference().tag_or_digest();
        match self.find_manifest(tag).await? {
            Some(existing) if existing == digest.as_str() => Ok(true),
            Some(existing) if existing_tag == ExistingTag::Refuse => Err(ErrorKind::TagExists {
                tag: tag.to_owned(),
                existing,
                pushed: digest.clone(),
            }),
            _ => Ok(false),
        }
    }

    /// Pushes a manifest by digest, unless the repository has it.
    pub(super) async fn put_child(&self, manifest: &ManifestBlob) -> Result<(), ErrorKind> {
        let digest = manifest.digest.as_str();
        if self.find_manifest(digest).await?.is_some() {
            return Ok(());
        }

        let response = self.put_manifest(manifest, digest).await?;
        self.check_manifest(&response, manifest).await
    }

    /// Pushes the manifest or index under the tag of the reference, and verifies the tag.
    pub(super) async fn put_top(
        &self,
        manifest: &ManifestBlob,
        existing_tag: ExistingTag,
    ) -> Result<(), ErrorKind> {
        // Another push may have set the tag during the upload.
        if self.check_tag(&manifest.digest, existing_tag).await? {
            return Ok(());
        }

        let tag = self.reference().tag_or_digest();
        let response = self.put_manifest(manifest, tag).await?;
        let outcome = self.check_manifest(&response, manifest).await;

        let found = self.find_manifest(tag).await?;
        match found {
            // Also after an error: a repository with immutable tags refuses what another push has just set.
            Some(found) if found == manifest.digest.as_str() => Ok(()),
            found => {
                outcome?;
                Err(ErrorKind::TagMoved {
                    tag: tag.to_owned(),
                    existing: found,
                    pushed: manifest.digest.clone(),
                })
            }
        }
    }

    /// Returns the digest of a manifest, by tag or digest; `None` if it does not exist.
    pub(crate) async fn find_manifest(&self, name: &str) -> Result<Option<String>, ErrorKind> {
        let path = format!("manifests/{name}");
        let call = Call::new(Method::HEAD, self.url(&path)).with(ACCEPT, manifest::ACCEPT);
        let response = self.call(&call).await?;

        match (response.status, response.header("docker-content-digest")) {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (StatusCode::OK, Some(digest)) => match digest.parse::<Digest>() {
                Ok(digest) => Ok(Some(digest.to_string())),
                Err(_) => Err(self.invalid_response("an invalid `Docker-Content-Digest`")),
            },
            // The header is optional in the specification.
            (StatusCode::OK, None) => {
                let response = self.fetch(&path, manifest::ACCEPT).await?;
                // A page of a proxy would have a digest too.
                self.json::<manifest::Manifest>(&response)?;
                Ok(Some(Digest::from_content(&response.body).to_string()))
            }
            _ => Err(self.push_error(&response, 0).await),
        }
    }

    async fn put_manifest(
        &self,
        manifest: &ManifestBlob,
        name: &str,
    ) -> Result<Response, ErrorKind> {
        let url = self.url(&format!("manifests/{name}"));
        let mut call = Call::new(Method::PUT, url).with(CONTENT_TYPE, &manifest.media_type);
        call.body = manifest.content.clone();
        self.call(&call).await
    }

    async fn check_manifest(
        &self,
        response: &Response,
        manifest: &ManifestBlob,
    ) -> Result<(), ErrorKind> {
        if response.status == StatusCode::CREATED {
            self.check_digest(response, &manifest.digest)
        } else {
            let bytes = manifest.content.len() as u64;
            Err(self.push_error(response, bytes).await)
        }
    }

    /// Compares the digest that the registry computed, if it returned one.
    pub(super) fn check_digest(
        &self,
        response: &Response,
        expected: &Digest,
    ) -> Result<(), ErrorKind> {
        match response.header("docker-content-digest") {
            Some(actual) if actual.starts_with("sha256:") && actual != expected.as_str() => {
                Err(ErrorKind::WrongDigest {
                    host: self.host(),
                    pushed: expected.clone(),
                    returned: actual.chars().take(100).collect(),
                })
            }
            _ => Ok(()),
        }
    }
}
