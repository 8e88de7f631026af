//! Changes images while other writers do the same.
//!
//! UpdateService has no condition, so two writers can replace each other's revision. A writer therefore looks at the
//! revision that runs before its update, and at the deployments after it. If it replaced one that it had not seen, it
//! deploys again with both changes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::deployments::find_own;
use super::revision::{Images, RawRevision};
use super::service::describe_service;
use super::update::{Force, StartedDeployment, Update, register, update};
use super::{DeployEvent, ServiceName};
use crate::api::Api;
use crate::error::Error;

/// Changes images, and repairs what it replaces.
pub(super) struct ImageWriter<'a, A> {
    api: &'a A,
    name: &'a ServiceName,
    /// Our images, and those of deployments that ours replaced.
    wanted: Images,
    /// The deployments that were seen.
    known: BTreeSet<String>,
    /// The revision to change.
    base: RawRevision,
    /// The ARN of the revision that must run for `base` to be up to date, and its images.
    running: (String, Images),
    own: Option<StartedDeployment>,
}

impl<'a, A: Api> ImageWriter<'a, A> {
    pub(super) fn new(
        api: &'a A,
        name: &'a ServiceName,
        running: RawRevision,
        wanted: Images,
        known: BTreeSet<String>,
    ) -> Self {
        Self {
            api,
            name,
            wanted,
            known,
            running: (running.arn().to_owned(), running.images()),
            base: running,
            own: None,
        }
    }

    pub(super) async fn write(
        mut self,
        interval: Duration,
        on_event: &mut impl FnMut(DeployEvent<'_>),
    ) -> Result<Update, Error> {
        for _ in 0..MAX_ROUNDS {
            if self.running.0 == self.base.arn() && self.base.has(&self.wanted) {
                return Ok(self.finish());
            }

            let request = self.base.with_images(&self.existing())?;
            let revision = register(self.api, request, on_event).await?;
            let state = describe_service(self.api, self.name).await?;
            if state.revision() != self.running.0 {
                // Another writer was faster; nothing is replaced yet.
                let now = state.revision();
                on_event(DeployEvent::Changed { revision: now });
                self.start_over(now).await?;
                continue;
            }

            update(self.api, self.name, &revision, Force::No, on_event).await?;
            match self.replaced(revision, interval).await? {
                Some(replaced) => {
                    on_event(DeployEvent::Replaced {
                        revision: &replaced,
                    });
                    self.restore(&replaced).await?;
                }
                None => return Ok(self.finish()),
            }
        }

        Err(Error::Contended {
            name: self.name.to_string(),
        })
    }

    /// Changes the revision of another writer instead.
    async fn start_over(&mut self, revision: &str) -> Result<(), Error> {
        self.base = RawRevision::read(self.api, revision).await?;
        let now = self.base.images();
        if self.own.is_some() {
            // Images that were changed after ours are newer.
            let before = &self.running.1;
            self.wanted
                .retain(|name, _| now.get(name) == before.get(name));
        }
        self.running = (revision.to_owned(), now);
        Ok(())
    }

    /// Finds the deployment of our revision. Returns the revision of a deployment that it replaced without having seen
    /// it.
    async fn replaced(
        &mut self,
        revision: String,
        interval: Duration,
    ) -> Result<Option<String>, Error> {
        let (api, name) = (self.api, self.name);
        let found = find_own(api, name, &revision, &mut self.known, interval).await?;
        self.own = Some(StartedDeployment {
            deployment: found.arn,
            revision,
        });
        Ok(found.replaced.filter(|arn| arn != self.base.arn()))
    }

    /// Takes the replaced revision as the next base, and remembers what it changed: yet another writer may begin with
    /// ours, which lacks that.
    async fn restore(&mut self, replaced: &str) -> Result<(), Error> {
        let mut images = self.base.images();
        images.extend(self.existing());
        self.base = RawRevision::read(self.api, replaced).await?;

        let before = &self.running.1;
        for (name, image) in self.base.images() {
            if before.get(&name) != Some(&image) {
                self.wanted.entry(name).or_insert(image);
            }
        }
        if let Some(own) = &self.own {
            self.running = (own.revision.clone(), images);
        }
        Ok(())
    }

    /// Returns the wanted images of containers that the base has; another writer may have removed one.
    fn existing(&self) -> Images {
        let known = self.base.images();
        let wanted = self.wanted.iter();
        wanted
            .filter(|(name, _)| known.contains_key(*name))
            .map(|(name, image)| (name.clone(), image.clone()))
            .collect()
    }

    fn finish(self) -> Update {
        let revision = self.running.0;
        self.own
            .map_or(Update::Unchanged { revision }, Update::Started)
    }
}

/// Each round is lost to another writer at most once.
const MAX_ROUNDS: usize = 20;
