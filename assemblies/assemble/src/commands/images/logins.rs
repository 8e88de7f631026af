//! The logins of a command: docker's, and for Amazon ECR those from AWS credentials.

use std::collections::BTreeSet;

use registry::{Client, Reference};

use super::targets::Target;
use crate::error::CliError;
use crate::ui::Ui;

/// Returns the client with a login for each ECR registry of the images, and their APIs.
#[cfg(feature = "aws")]
pub(super) async fn log_in(
    mut client: Client,
    targets: &[Target],
    ui: &Ui,
) -> Result<(Client, Vec<super::ecr::Ecr>), CliError> {
    use registry::EcrRegistry;

    let mut apis = Vec::new();
    for host in registries(targets)? {
        let Some(registry) = EcrRegistry::parse(&host) else {
            continue;
        };

        let api = super::ecr::Ecr::new(&host, registry, client.clone()).await;
        let login = match &api {
            Ok(api) => api.login().await,
            Err(error) => Err(CliError::Usage(error.to_string())),
        };
        match login {
            Ok(login) => client = client.with_login(&host, login),
            // Someone may have logged in with docker, as an account that is not in the environment.
            Err(error) => ui.message(&format!("using docker's login for {host}: {error}")),
        }
        apis.extend(api.ok());
    }

    Ok((client, apis))
}

/// Returns the registries of the images.
pub(super) fn registries(targets: &[Target]) -> Result<BTreeSet<String>, CliError> {
    let registries = targets.iter().map(|target| {
        let reference = reference(target)?;
        Ok(reference.registry().to_owned())
    });
    registries.collect()
}

/// Parses the reference of an image.
pub(super) fn reference(target: &Target) -> Result<Reference, CliError> {
    let parsed = target.image.parse::<Reference>();
    parsed.map_err(|error| CliError::Usage(format!("image `{}`: {error}", target.name)))
}
