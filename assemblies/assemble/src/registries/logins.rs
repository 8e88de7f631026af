//! The APIs of Amazon ECR beside the registry protocol, and the logins that they give.

#[cfg(feature = "aws")]
use std::collections::BTreeMap;
#[cfg(feature = "aws")]
use std::sync::Arc;

#[cfg(feature = "aws")]
use registry::{Client, EcrRegistry, Login};
use registry::{Digest, LoginFuture, LoginSource, Reference};
#[cfg(feature = "aws")]
use tokio::sync::Mutex;

#[cfg(feature = "aws")]
use super::ecr::{Ecr, RepositoryState};
use crate::error::CliError;
use crate::ui::Ui;

/// The APIs of the ECR registries of a command, each created when it is needed.
#[derive(Debug)]
pub(crate) struct Apis {
    #[cfg(feature = "aws")]
    ui: Ui,
    /// By host; `None` if the AWS credentials give no login for it.
    #[cfg(feature = "aws")]
    known: Mutex<BTreeMap<String, Option<Arc<LoggedIn>>>>,
}

/// An API, and the login that its credentials give.
#[cfg(feature = "aws")]
#[derive(Debug)]
struct LoggedIn {
    api: Ecr,
    login: Login,
}

#[cfg(feature = "aws")]
impl LoginSource for Apis {
    fn login<'s>(&'s self, registry: &'s str) -> LoginFuture<'s> {
        Box::pin(async move { Some(self.find(registry).await?.login.clone()) })
    }
}

#[cfg(feature = "aws")]
impl Apis {
    pub(super) fn new(ui: &Ui) -> Self {
        Self {
            ui: ui.clone(),
            known: Mutex::default(),
        }
    }

    /// Returns the API of a registry, if it is one of ECR and the AWS credentials are valid for it.
    async fn find(&self, host: &str) -> Option<Arc<LoggedIn>> {
        let registry = EcrRegistry::parse(host)?;
        // Held while AWS responds: requests in parallel must not log in one by one.
        let mut known = self.known.lock().await;
        if let Some(found) = known.get(host) {
            return found.clone();
        }

        let found = match log_in(registry).await {
            Ok(found) => Some(Arc::new(found)),
            // A login with docker may be that of an account which the environment has no credentials for.
            Err(error) => {
                self.ui
                    .message(&format!("using docker's login for {host}: {error}"));
                None
            }
        };
        known.insert(host.to_owned(), found.clone());
        found
    }

    /// Creates the repositories that are missing.
    pub(crate) async fn create_repositories(&self, images: &[Reference]) -> Result<(), CliError> {
        for reference in images {
            let (host, repository) = (reference.registry(), reference.repository());
            let Some(found) = self.find(host).await else {
                return Err(CliError::Usage(format!(
                    "--create-repositories is for Amazon ECR, with AWS credentials; `{host}` is another registry, or there are none"
                )));
            };
            if found.api.create_repository(repository).await? == RepositoryState::Created {
                self.ui.message(&format!("created {host}/{repository}"));
            }
        }

        Ok(())
    }

    /// Returns the digests of a repository, those without a tag included; none where only the registry protocol is
    /// available.
    pub(crate) async fn list(&self, repository: &Reference) -> Result<Vec<Digest>, CliError> {
        match self.find(repository.registry()).await {
            Some(found) => found.api.list_images(repository.repository()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Deletes images; returns false where only the registry protocol is available.
    pub(crate) async fn delete(
        &self,
        host: &str,
        repository: &str,
        digests: &[Digest],
    ) -> Result<bool, CliError> {
        match self.find(host).await {
            Some(found) => found
                .api
                .delete_images(repository, digests)
                .await
                .map(|()| true),
            None => Ok(false),
        }
    }
}

#[cfg(not(feature = "aws"))]
impl LoginSource for Apis {
    fn login<'s>(&'s self, _: &'s str) -> LoginFuture<'s> {
        Box::pin(async { None })
    }
}

#[cfg(not(feature = "aws"))]
#[expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "as with AWS support"
)]
impl Apis {
    pub(super) fn new(_: &Ui) -> Self {
        Self {}
    }

    pub(crate) async fn create_repositories(&self, _: &[Reference]) -> Result<(), CliError> {
        let message = "this build has no AWS support; create the repositories with the AWS CLI";
        Err(CliError::Usage(message.to_owned()))
    }

    pub(crate) async fn list(&self, _: &Reference) -> Result<Vec<Digest>, CliError> {
        Ok(Vec::new())
    }

    pub(crate) async fn delete(&self, _: &str, _: &str, _: &[Digest]) -> Result<bool, CliError> {
        Ok(false)
    }
}

/// Creates the API of a registry, and gets a login from it.
#[cfg(feature = "aws")]
async fn log_in(registry: EcrRegistry) -> Result<LoggedIn, CliError> {
    let client = Client::from_environment(None)?;
    // Boxed: the AWS configuration makes the future larger than 16 kB.
    let api = Box::pin(Ecr::new(registry, client)).await?;
    let login = api.login().await?;
    Ok(LoggedIn { api, login })
}
