//! Checks, outcomes and the report.

use serde_json::{Value, json};

use super::reader::Unknown;

/// The subject of a check; the most frequent causes of failed deployments come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CheckGroup {
    /// Subnets and their ways to the APIs of AWS.
    Network,
    /// Images of the containers.
    Images,
    /// Secrets and parameters.
    Secrets,
    /// The target group.
    TargetGroup,
    /// The permissions of the caller.
    Caller,
    /// Roles and their trust.
    Roles,
    /// The permissions of the roles.
    Policies,
    /// Log groups.
    LogGroups,
    /// Security groups on the way of requests.
    SecurityGroups,
    /// The certificate of the load balancer.
    Certificate,
    /// The cluster.
    Cluster,
    /// Service-linked roles.
    LinkedRoles,
    /// Quotas.
    Quotas,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The subject.
    pub group: CheckGroup,
    /// Its name, unique in the report.
    pub name: String,
    /// The result.
    pub outcome: CheckOutcome,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// No problem was found.
    Ok(String),
    /// The check was not made.
    Skip {
        /// The reason.
        reason: String,
        /// The IAM action that the caller lacks, if that is the reason.
        permission: Option<String>,
    },
    /// A deployment would fail.
    Fail {
        /// The problem.
        problem: String,
        /// What to do.
        fix: String,
    },
}

/// All checks, by group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The checks.
    pub checks: Vec<Check>,
    pub(super) sent: usize,
    pub(super) refused: usize,
}

impl CheckGroup {
    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Images => "images",
            Self::Secrets => "secrets",
            Self::TargetGroup => "target group",
            Self::Caller => "caller",
            Self::Roles => "roles",
            Self::Policies => "policies",
            Self::LogGroups => "log groups",
            Self::SecurityGroups => "security groups",
            Self::Certificate => "certificate",
            Self::Cluster => "cluster",
            Self::LinkedRoles => "service-linked roles",
            Self::Quotas => "quotas",
        }
    }
}

impl Check {
    pub(super) fn new(group: CheckGroup, name: impl Into<String>, outcome: CheckOutcome) -> Self {
        Self {
            group,
            name: name.into(),
            outcome,
        }
    }
}

impl CheckOutcome {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self::Ok(detail.into())
    }

    pub(super) fn fail(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Fail {
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    pub(super) fn skip(reason: impl Into<String>) -> Self {
        Self::Skip {
            reason: reason.into(),
            permission: None,
        }
    }

    /// Returns whether the check failed.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Fail { .. })
    }

    /// Returns `OK`, `SKIP` or `FAIL`.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Ok(_) => "OK",
            Self::Skip { .. } => "SKIP",
            Self::Fail { .. } => "FAIL",
        }
    }
}

impl From<&Unknown> for CheckOutcome {
    fn from(unknown: &Unknown) -> Self {
        match unknown {
            Unknown::Denied(action) => Self::Skip {
                reason: format!("not allowed to call {action}"),
                permission: Some(action.clone()),
            },
            Unknown::Failed(message) => Self::skip(message.clone()),
            Unknown::NotAsked(reason) => Self::skip(reason.clone()),
        }
    }
}

impl VerifyReport {
    /// Returns the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| check.outcome.is_failure())
    }

    /// Returns whether AWS refused every call but the one that needs no permission.
    pub fn is_refused(&self) -> bool {
        // GetCallerIdentity always works.
        self.refused > 0 && self.refused + 1 >= self.sent
    }

    /// Returns the number of calls.
    pub fn calls(&self) -> usize {
        self.sent
    }

    /// Returns the report as JSON.
    pub fn to_json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            let mut entry = json!({ "group": check.group.as_str(), "name": check.name,
                "status": check.outcome.status() });
            match &check.outcome {
                CheckOutcome::Ok(detail) => entry["detail"] = detail.as_str().into(),
                CheckOutcome::Skip { reason, permission } => {
                    entry["detail"] = reason.as_str().into();
                    entry["permission"] = permission.as_deref().into();
                }
                CheckOutcome::Fail { problem, fix } => {
                    entry["detail"] = problem.as_str().into();
                    entry["fix"] = fix.as_str().into();
                }
            }
            entry
        });

        // For scripts that need no more than the totals.
        let count = |status: &str| {
            let found = self.checks.iter();
            found
                .filter(|check| check.outcome.status() == status)
                .count()
        };

        json!({ "checks": checks.collect::<Vec<_>>(), "ok": count("OK"), "skipped": count("SKIP"),
            "failed": count("FAIL") })
    }
}
