//! The deployments of a service, and which of them is ours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::ServiceName;
use crate::api::{Api, Call, Operation};
use crate::backoff::Backoff;
use crate::error::Error;

/// A service deployment in a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedDeployment {
    pub(crate) arn: String,
    pub(crate) status: String,
    /// The ARN of the service revision that it leads to.
    pub(crate) target: String,
    created_at: f64,
}

/// The deployment of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnDeployment {
    pub(crate) arn: String,
    /// The task definition of a deployment that another writer began after our view of the service, and that ours
    /// replaced.
    pub(crate) replaced: Option<String>,
}

/// Returns the latest deployments of a service, newest first.
pub(crate) async fn list(
    api: &impl Api,
    name: &ServiceName,
) -> Result<Vec<ListedDeployment>, Error> {
    let body =
        json!({ "cluster": name.cluster(), "service": name.service(), "maxResults": MAX_LISTED });
    let response = api
        .call(&Call::new(Operation::ListServiceDeployments, body))
        .await?;

    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = response["serviceDeployments"].as_array();
    let mut found: Vec<_> = entries
        .into_iter()
        .flatten()
        .map(|entry| ListedDeployment {
            arn: text(&entry["serviceDeploymentArn"]),
            status: text(&entry["status"]),
            target: text(&entry["targetServiceRevisionArn"]),
            created_at: entry["createdAt"].as_f64().unwrap_or_default(),
        })
        .collect();

    // The order is not documented. The sort is stable, so that equal times keep the order of ECS.
    found.sort_by(|a, b| b.created_at.total_cmp(&a.created_at));
    Ok(found)
}

/// Finds the deployment that leads to a task definition, among those that are not known yet.
pub(crate) async fn find_own(
    api: &impl Api,
    name: &ServiceName,
    revision: &str,
    known: &mut BTreeSet<String>,
    interval: Duration,
) -> Result<OwnDeployment, Error> {
    let mut backoff = Backoff::new(interval, interval * 4);
    // ECS is eventually consistent: the deployment may not be listed at once.
    for _ in 0..MAX_POLLS {
        let mut new = list(api, name).await?;
        new.retain(|deployment| !known.contains(&deployment.arn));
        let definitions = definitions(api, new.iter().map(|it| it.target.as_str())).await?;
        let leads_to = |deployment: &ListedDeployment| definitions.get(&deployment.target).cloned();

        let own = new
            .iter()
            .position(|deployment| leads_to(deployment).as_deref() == Some(revision));
        if let Some(at) = own {
            known.extend(new.iter().map(|deployment| deployment.arn.clone()));
            return Ok(OwnDeployment {
                arn: new[at].arn.clone(),
                replaced: new.get(at + 1).and_then(leads_to),
            });
        }
        sleep(backoff.next()).await;
    }

    Err(Error::NoDeployment {
        name: name.to_string(),
        revision: revision.to_owned(),
    })
}

/// Returns the task definitions of service revisions, by the ARNs of the service revisions.
pub(crate) async fn definitions(
    api: &impl Api,
    revisions: impl Iterator<Item = &str>,
) -> Result<BTreeMap<String, String>, Error> {
    let arns: Vec<_> = revisions.filter(|arn| !arn.is_empty()).collect();
    let mut found = BTreeMap::new();
    for group in arns.chunks(DESCRIBED_REVISIONS) {
        let body = json!({ "serviceRevisionArns": group });
        let response = api
            .call(&Call::new(Operation::DescribeServiceRevisions, body))
            .await?;
        let revisions = response["serviceRevisions"].as_array();
        found.extend(revisions.into_iter().flatten().filter_map(|revision| {
            let arn = revision["serviceRevisionArn"].as_str()?;
            let definition = revision["taskDefinition"].as_str()?;
            Some((arn.to_owned(), definition.to_owned()))
        }));
    }
    Ok(found)
}

/// Source: ListServiceDeployments and DescribeServiceRevisions in the ECS API reference.
const MAX_LISTED: usize = 100;
const DESCRIBED_REVISIONS: usize = 20;
const MAX_POLLS: usize = 15;
