//! Resolves a reference to a digest and platforms.

use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{self, Config, Image, Manifest, Platform};
use crate::session::{Access, Session};
use crate::transport::Response;

impl Client {
    /// Resolves a reference to an image, and checks that it supports these platforms.
    pub async fn resolve(&self, image: &str, required: &[Platform]) -> Result<Image, Error> {
        let outcome = self.resolve_kind(image, required).await;
        outcome.map_err(|kind| kind.for_image(image))
    }

    async fn resolve_kind(&self, image: &str, required: &[Platform]) -> Result<Image, ErrorKind> {
        let session = Session::new(self.clone(), image.parse()?, Access::Pull);
        let image = session.resolve_image().await?;

        match required
            .iter()
            .find(|platform| !image.platforms.contains(platform))
        {
            None => Ok(image),
            Some(missing) => Err(ErrorKind::MissingPlatform {
                platform: missing.to_string(),
                available: image.platforms.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

impl Session {
    async fn resolve_image(&self) -> Result<Image, ErrorKind> {
        let path = format!("manifests/{}", self.reference().tag_or_digest());
        let response = self.fetch(&path, manifest::ACCEPT).await?;
        let digest = self.verify(&response)?;
        let manifest: Manifest = self.json(&response)?;
        // The media type is optional in OCI manifests; then the header has it.
        let kind = manifest
            .media_type
            .as_deref()
            .or(response.header("content-type"));

        if manifest.schema_version != 2 {
            let kind = kind.unwrap_or("manifest of an unsupported version");
            return Err(ErrorKind::UnsupportedManifest(
                kind.chars().take(100).collect(),
            ));
        }

        let platforms = match (&manifest.manifests, &manifest.config) {
            // An index lists its platforms, so its manifests need not be fetched.
            (Some(_), _) => manifest.platforms(),
            (None, Some(config)) => self.platform(&config.digest).await?.into_iter().collect(),
            (None, None) => {
                let kind = kind.unwrap_or("manifest without a config");
                return Err(ErrorKind::UnsupportedManifest(
                    kind.chars().take(100).collect(),
                ));
            }
        };

        Ok(Image { digest, platforms })
    }

    /// Returns the digest of the body; it must match the digest in the reference, or else the header.
    pub(crate) fn verify(&self, response: &Response) -> Result<Digest, ErrorKind> {
        let actual = Digest::from_content(&response.body);
        let requested = self.reference().digest().map(Digest::as_str);
        let expected = requested.or(response.header("docker-content-digest"));
        match expected {
            // A header with another hash algorithm cannot be compared.
            Some(expected) if expected.starts_with("sha256:") && expected != actual.as_str() => {
                Err(ErrorKind::DigestMismatch {
                    host: self.host(),
                    expected: expected.chars().take(100).collect(),
                    actual,
                })
            }
            _ => Ok(actual),
        }
    }

    /// Reads the platform of a single-platform image from its config, a blob addressed by digest.
    async fn platform(&self, digest: &str) -> Result<Option<Platform>, ErrorKind> {
        let digest: Digest = digest
            .parse()
            .map_err(|error| self.invalid_response(&format!("an invalid manifest: {error}")))?;
        let response = self.fetch(&format!("blobs/{digest}"), "*/*").await?;
        let actual = Digest::from_content(&response.body);

        if actual != digest {
            return Err(ErrorKind::DigestMismatch {
                host: self.host(),
                expected: digest.to_string(),
                actual,
            });
        }

        Ok(self.json::<Config>(&response)?.platform())
    }
}
