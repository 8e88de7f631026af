//! The logins of a command: docker's, and for Amazon ECR those from AWS credentials.

#[cfg(feature = "aws")]
use std::collections::BTreeSet;

use registry::{Client, Digest, Reference};

#[cfg(feature = "aws")]
use super::ecr::{Ecr, RepositoryState};
use super::targets::Target;
use crate::error::CliError;
use crate::ui::Ui;

/// The APIs of the ECR registries among those of a command.
#[derive(Debug, Default)]
pub(super) struct Apis {
    #[cfg(feature = "aws")]
    ecr: Vec<Ecr>,
}

/// Returns the client with a login for each ECR registry of the images, and their APIs.
#[cfg(feature = "aws")]
pub(super) async fn log_in(
    mut client: Client,
    targets: &[Target],
    ui: &Ui,
) -> Result<(Client, Apis), CliError> {
    let mut apis = Apis::default();
    let references = targets.iter().map(reference);
    let references = references.collect::<Result<Vec<_>, _>>()?;
    let hosts: BTreeSet<&str> = references.iter().map(Reference::registry).collect();

    for host in hosts {
        let Some(registry) = registry::EcrRegistry::parse(host) else {
            continue;
        };

        let api = Ecr::new(host, registry, client.clone()).await;
        let login = match &api {
            Ok(api) => api.login().await,
            Err(error) => Err(CliError::Usage(error.to_string())),
        };
        match login {
            Ok(login) => {
                client = client.with_login(host, login);
                apis.ecr.extend(api.ok());
            }
            // A login with docker may be that of an account which the environment has no credentials for.
            Err(error) => ui.message(&format!("using docker's login for {host}: {error}")),
        }
    }

    Ok((client, apis))
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "as with AWS support")]
pub(super) async fn log_in(
    client: Client,
    targets: &[Target],
    _: &Ui,
) -> Result<(Client, Apis), CliError> {
    for target in targets {
        reference(target)?;
    }
    Ok((client, Apis::default()))
}

/// Parses the reference of an image.
pub(super) fn reference(target: &Target) -> Result<Reference, CliError> {
    let parsed = target.image.parse::<Reference>();
    parsed.map_err(|error| CliError::Usage(format!("image `{}`: {error}", target.name)))
}

#[cfg(feature = "aws")]
impl Apis {
    fn find(&self, host: &str) -> Option<&Ecr> {
        self.ecr.iter().find(|api| api.host() == host)
    }

    /// Creates the repositories that are missing.
    pub(super) async fn create_repositories(
        &self,
        targets: &[Target],
        ui: &Ui,
    ) -> Result<(), CliError> {
        for target in targets {
            let reference = reference(target)?;
            let (host, repository) = (reference.registry(), reference.repository());
            let Some(api) = self.find(host) else {
                return Err(CliError::Usage(format!(
                    "--create-repositories is for Amazon ECR, with AWS credentials; `{host}` is another registry, or there are none"
                )));
            };
            if api.create_repository(repository).await? == RepositoryState::Created {
                ui.message(&format!("created {host}/{repository}"));
            }
        }

        Ok(())
    }

    /// Returns the digests of a repository, those without a tag included; none where only the registry protocol is
    /// available.
    pub(super) async fn list(&self, repository: &Reference) -> Result<Vec<Digest>, CliError> {
        match self.find(repository.registry()) {
            Some(api) => api.list_images(repository.repository()).await,
            None => Ok(Vec::new()),
        }
    }

    /// Deletes images; returns false where only the registry protocol is available.
    pub(super) async fn delete(
        &self,
        host: &str,
        repository: &str,
        digests: &[Digest],
    ) -> Result<bool, CliError> {
        match self.find(host) {
            Some(api) => api.delete_images(repository, digests).await.map(|()| true),
            None => Ok(false),
        }
    }
}

#[cfg(not(feature = "aws"))]
#[expect(
    clippy::unused_async,
    clippy::unused_self,
    reason = "as with AWS support"
)]
impl Apis {
    pub(super) async fn create_repositories(&self, _: &[Target], _: &Ui) -> Result<(), CliError> {
        let message = "this build has no AWS support; create the repositories with the AWS CLI";
        Err(CliError::Usage(message.to_owned()))
    }

    pub(super) async fn list(&self, _: &Reference) -> Result<Vec<Digest>, CliError> {
        Ok(Vec::new())
    }

    pub(super) async fn delete(&self, _: &str, _: &str, _: &[Digest]) -> Result<bool, CliError> {
        Ok(false)
    }
}
