//! Verifies an account before a task is deployed: network, images, secrets, roles, quotas.
//!
//! ```text
//! VerifyRequest ──collect──▶ facts (answers of AWS) ──checks──▶ Check { Ok, Skip, Fail }  ──▶ VerifyReport
//! ```
//!
//! Collectors are async and decide nothing; checks are pure functions of the request and the answers. A fact that cannot
//! be read is never a failure: the check is skipped, and names the permission that is missing.
//!
//! | file | does |
//! |---|---|
//! | `request` | the task and its place |
//! | `check` | checks, outcomes and the report |
//! | `reader` | sends the calls, a bounded number at a time |
//! | `network`, `nat`, `endpoints` | subnets, NAT gateways, VPC endpoints |
//! | `paths`, `rules` | routes and network ACLs; rules of security groups |
//! | `images`, `secrets`, `secret_reference`, `logs`, `cluster`, `quotas` | what their names say |
//! | `balancer`, `groups`, `certificate` | the way of requests to the tasks |
//! | `roles`, `trust`, `policies` | roles: existence, trust, permissions |

use serde_json::Value;

use crate::api::Api;
use crate::error::Error;

mod balancer;
mod certificate;
mod check;
mod cluster;
mod endpoints;
mod groups;
mod images;
mod logs;
mod nat;
mod network;
pub(crate) mod paths;
mod policies;
mod quotas;
mod reader;
mod request;
mod roles;
mod rules;
mod secret_reference;
mod secrets;
mod trust;

pub use check::{Check, CheckGroup, CheckOutcome, VerifyReport};
pub use request::{Place, PublicEndpoint, RoleKind, RoleStatement, VerifyRequest};

use reader::Reader;

/// Verifies the account of the credentials.
///
/// Returns an error only if AWS cannot be reached or rejects the credentials; everything else is in the report.
pub async fn verify(api: &impl Api, request: &VerifyRequest) -> Result<VerifyReport, Error> {
    let reader = Reader::new(api);
    let (network, images, secrets, balancer, roles, logs, cluster, quotas) = tokio::join!(
        network::Network::collect(&reader, request),
        images::Images::collect(&reader, request),
        secrets::Secrets::collect(&reader, request),
        balancer::Balancer::collect(&reader, request),
        roles::Roles::collect(&reader, request),
        logs::LogGroups::collect(&reader, request),
        cluster::collect(&reader, request),
        quotas::Quotas::collect(&reader, request),
    );

    let refused = reader.refused_calls();
    let sent = reader.sent_calls();
    // The same cause would make every check a skipped one.
    if let Some(error) = reader.into_fatal_error() {
        return Err(error);
    }

    let mut checks = Vec::new();
    checks.extend(network.checks(request));
    checks.extend(images.checks(request));
    checks.extend(secrets.checks(request));
    checks.extend(balancer.checks(request, &network));
    checks.extend(roles.checks(request));
    checks.extend(logs.checks(request));
    checks.extend(groups::checks(request, &network, &balancer));
    checks.extend(certificate::checks(request, &balancer));
    checks.extend(cluster::checks(request, &cluster));
    checks.extend(quotas.checks(request));
    // The sort is stable: within a group the order stays.
    checks.sort_by_key(|check| check.group);
    Ok(VerifyReport {
        checks,
        sent,
        refused,
    })
}

/// Returns the items of a list in a response; a missing list is empty.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a text of a response; a missing one is empty.
fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}
