//! Lists the manifests of a repository, and deletes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::call::Call;
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::prune::StoredManifest;
use crate::session::{Access, Session};
use crate::tasks::join_all;

/// The tags of a repository; `null` after the last one was deleted.
#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

/// The references of a manifest to other manifests.
#[derive(Deserialize)]
struct References {
    #[serde(default)]
    manifests: Vec<Reference>,
    subject: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    digest: String,
}

impl Client {
    /// Lists the manifests of a repository: those with a tag, those that they refer to, and those that describe them.
    ///
    /// `untagged` adds manifests that the caller knows: the protocol cannot list those without a tag. A repository that
    /// does not exist has none.
    pub async fn manifests(
        &self,
        repository: &str,
        untagged: &[Digest],
    ) -> Result<Vec<StoredManifest>, Error> {
        let outcome = self.manifests_kind(repository, untagged).await;
        outcome.map_err(|kind| kind.for_image(repository))
    }

    async fn manifests_kind(
        &self,
        repository: &str,
        untagged: &[Digest],
    ) -> Result<Vec<StoredManifest>, ErrorKind> {
        let session = Session::new(self.clone(), repository.parse()?, Access::Pull);
        let session = Arc::new(session);
        let mut found: BTreeMap<Digest, StoredManifest> = BTreeMap::new();
        let mut names = session.tags().await?;
        names.extend(untagged.iter().map(ToString::to_string));

        // By level: what the first manifests refer to is known only after they were read.
        while !names.is_empty() {
            let manifests = read_all(&session, std::mem::take(&mut names)).await?;
            let mut next = BTreeSet::new();
            for manifest in manifests {
                next.extend(manifest.children.iter().map(ToString::to_string));
                // Without an API for them, they have a tag.
                let referrers = session.list_referrers(&manifest.digest).await?;
                let digests = referrers.into_iter().flatten().map(|entry| entry.digest);
                next.extend(digests);
                match found.get_mut(&manifest.digest) {
                    Some(known) => known.tags.extend(manifest.tags),
                    None => {
                        found.insert(manifest.digest.clone(), manifest);
                    }
                }
            }

            let known: BTreeSet<String> = found.keys().map(ToString::to_string).collect();
            names = next.difference(&known).cloned().collect();
            if found.len() + names.len() > MAX_MANIFESTS {
                return Err(session.invalid_response("more than 10,000 images in a repository"));
            }
        }

        Ok(found.into_values().collect())
    }

    /// Deletes a manifest with all its tags. One that does not exist is no error.
    pub async fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<(), Error> {
        let outcome = self.delete_kind(repository, digest).await;
        outcome.map_err(|kind| kind.for_image(&format!("{repository}@{digest}")))
    }

    async fn delete_kind(&self, repository: &str, digest: &Digest) -> Result<(), ErrorKind> {
        let session = Session::new(self.clone(), repository.parse()?, Access::Delete);
        let url = session.url(&format!("manifests/{digest}"));
        let response = session.call(&Call::new(Method::DELETE, url)).await?;
        match response.status {
            StatusCode::ACCEPTED
            | StatusCode::OK
            | StatusCode::NO_CONTENT
            | StatusCode::NOT_FOUND => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED => {
                let host = session.host();
                Err(ErrorKind::DeletionDisabled { host })
            }
            StatusCode::FORBIDDEN => Err(session.login_error().await),
            _ => Err(session.status(&response)),
        }
    }
}

/// Reads manifests by tag or digest, a few at a time. Those that disappeared meanwhile are left out.
async fn read_all(
    session: &Arc<Session>,
    names: Vec<String>,
) -> Result<Vec<StoredManifest>, ErrorKind> {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut tasks = JoinSet::new();
    for name in names {
        let (session, slots) = (session.clone(), slots.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            session.stored_manifest(&name).await
        });
    }

    let manifests = join_all(tasks).await?;
    Ok(manifests.into_iter().flatten().collect())
}

impl Session {
    /// Returns all tags, page by page (OCI distribution specification, "Listing tags").
    async fn tags(&self) -> Result<Vec<String>, ErrorKind> {
        let mut all = Vec::new();
        let mut url = self.url(&format!("tags/list?n={PAGE}"));
        loop {
            let response = self.call(&Call::new(Method::GET, url.clone())).await?;
            match response.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(all),
                StatusCode::FORBIDDEN => return Err(self.login_error().await),
                _ => return Err(self.status(&response)),
            }

            let page = self.json::<Tags>(&response)?.tags.unwrap_or_default();
            all.extend(page);
            if all.len() > MAX_MANIFESTS {
                return Err(self.invalid_response("more than 10,000 tags in a repository"));
            }
            match response.header("link").and_then(next_page) {
                Some(next) => url = self.resolve_location(&url, next)?,
                None => return Ok(all),
            }
        }
    }

    /// Reads a manifest, and what it refers to; `None` if it does not exist.
    async fn stored_manifest(&self, name: &str) -> Result<Option<StoredManifest>, ErrorKind> {
        let Some(response) = self.read_manifest(name).await? else {
            return Ok(None);
        };

        let references: References = self.json(&response)?;
        let parse = |reference: &Reference| {
            let digest = reference.digest.parse();
            digest.map_err(|error| self.invalid_response(&format!("an invalid manifest: {error}")))
        };
        // Not the digest in the request or a header: what the bytes have is what a client would run.
        let is_digest = name.parse::<Digest>().is_ok();
        Ok(Some(StoredManifest {
            digest: Digest::from_content(&response.body),
            tags: if is_digest {
                Vec::new()
            } else {
                vec![name.to_owned()]
            },
            children: references
                .manifests
                .iter()
                .map(parse)
                .collect::<Result<_, _>>()?,
            subject: references.subject.as_ref().map(parse).transpose()?,
        }))
    }
}

/// Returns the URL of `<URL>; rel="next"` (RFC 8288).
pub(crate) fn next_page(header: &str) -> Option<&str> {
    let (url, parameters) = header.strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(url)
}

const PAGE: usize = 1_000;
const MAX_MANIFESTS: usize = 10_000;
const MAX_REQUESTS: usize = 8;
