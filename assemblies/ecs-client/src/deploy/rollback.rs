//! The revision to go back to.

use super::deployments::{definitions, list};
use super::service::describe_service;
use super::{Change, ServiceName};
use crate::api::Api;
use crate::error::Error;
use crate::register::describe;

/// Returns the revision to go back to: the last one that was deployed completely before the one that runs, or the
/// revision `number` of the same family.
pub async fn rollback_target(
    api: &impl Api,
    name: &ServiceName,
    number: Option<u32>,
) -> Result<Change, Error> {
    let service = describe_service(api, name).await?;
    service.check_deployable(name)?;
    let revision = match number {
        Some(number) => {
            let (family, _) = service
                .revision()
                .rsplit_once(':')
                .unwrap_or((service.revision(), ""));
            format!("{family}:{number}")
        }
        None => last_completed(api, name, service.revision()).await?,
    };

    // UpdateService refuses revisions that are not active, with a message that does not say how to go on.
    let described = describe(api, &revision).await?;
    match described {
        Some(described) if described.status == "ACTIVE" => Ok(Change::Revision(described.arn)),
        Some(described) => Err(Error::RevisionNotUsable {
            revision,
            detail: format!("its status is {}", described.status),
        }),
        None => Err(Error::RevisionNotUsable {
            revision,
            detail: "it does not exist".to_owned(),
        }),
    }
}

async fn last_completed(
    api: &impl Api,
    name: &ServiceName,
    running: &str,
) -> Result<String, Error> {
    let listed = list(api, name).await?;
    let completed: Vec<_> = listed
        .iter()
        .filter(|deployment| deployment.status == "SUCCESSFUL")
        .map(|deployment| deployment.target.as_str())
        .collect();
    let definitions = definitions(api, completed.iter().copied()).await?;
    let found = completed
        .iter()
        .filter_map(|target| definitions.get(*target))
        .find(|definition| *definition != running);
    found.cloned().ok_or_else(|| Error::NothingToRollBackTo {
        name: name.to_string(),
    })
}
