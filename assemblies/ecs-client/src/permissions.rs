//! The permissions that the verbs of `assemble` need.
//!
//! [`PERMISSIONS`] is the table. A test compares it with the calls that each verb makes.

use serde_json::{Map, Value, json};

use crate::partition::Partition;

/// A verb that calls AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsVerb {
    /// `assemble diff`
    Diff,
    /// `assemble register`
    Register,
    /// `assemble run`
    Run,
    /// `assemble why`
    Why,
}

/// A permission and the verbs that need it.
#[derive(Debug, Clone, Copy)]
pub struct Permission {
    /// The action, such as `ecs:RunTask`.
    pub action: &'static str,
    /// The verbs that need it.
    pub verbs: &'static [AwsVerb],
    /// The resources that it is needed for.
    pub scope: Scope,
    /// Why it is needed.
    pub reason: &'static str,
}

/// The resources that a permission is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All: the action supports no resources.
    All,
    /// The revisions of the family.
    TaskDefinitions,
    /// The tasks of the cluster.
    Tasks,
    /// The roles of the task.
    Roles,
    /// The log streams of the task.
    LogStreams,
}

use AwsVerb::{Diff, Register, Run, Why};

/// The permissions of all verbs.
///
/// Source: "Actions, resources, and condition keys for Amazon Elastic Container Service" and "… for Amazon CloudWatch
/// Logs" in the Service Authorization Reference. GetCallerIdentity needs no permission (STS API reference).
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        action: "ecs:DescribeTaskDefinition",
        verbs: &[Diff, Register, Run, Why],
        scope: Scope::All,
        reason: "reads the registered revision",
    },
    Permission {
        action: "ecs:RegisterTaskDefinition",
        verbs: &[Register],
        scope: Scope::All,
        reason: "registers a revision",
    },
    Permission {
        action: "ecs:TagResource",
        verbs: &[Register],
        scope: Scope::TaskDefinitions,
        reason: "sets the tags of the revision, if the definition has tags",
    },
    Permission {
        action: "iam:PassRole",
        verbs: &[Register, Run],
        scope: Scope::Roles,
        reason: "gives the execution role and the task role to ECS",
    },
    Permission {
        action: "ecs:RunTask",
        verbs: &[Run],
        scope: Scope::TaskDefinitions,
        reason: "starts the task",
    },
    Permission {
        action: "ecs:DescribeTasks",
        verbs: &[Run, Why],
        scope: Scope::Tasks,
        reason: "reads the state of the task",
    },
    Permission {
        action: "ecs:StopTask",
        verbs: &[Run],
        scope: Scope::Tasks,
        reason: "stops the task after Ctrl-C, if that is chosen",
    },
    Permission {
        action: "logs:GetLogEvents",
        verbs: &[Run],
        scope: Scope::LogStreams,
        reason: "reads the output of the containers, with --logs",
    },
];

/// The resources of a policy; what is unknown is `*`.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// The account's number.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The name of the cluster.
    pub cluster: Option<String>,
    /// The family.
    pub family: Option<String>,
    /// The ARNs of the roles of the task; `None` if the definition is unknown.
    pub roles: Option<Vec<String>>,
    /// The log groups of the containers; `None` if the definition is unknown.
    pub log_groups: Option<Vec<String>>,
}

impl AwsVerb {
    /// Returns the permissions of the verb.
    pub fn permissions(self) -> impl Iterator<Item = &'static Permission> {
        PERMISSIONS
            .iter()
            .filter(move |permission| permission.verbs.contains(&self))
    }

    /// Returns the smallest policy with which the verb works.
    pub fn policy(self, resources: &Resources) -> Value {
        let statements = self
            .permissions()
            .filter_map(|permission| resources.statement(permission));
        json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
    }
}

impl Resources {
    /// Returns the statement of a permission, or `None` if it has no resources.
    fn statement(&self, permission: &Permission) -> Option<Value> {
        let resources = self.arns(permission.scope);
        if resources.is_empty() {
            return None;
        }

        let mut statement = Map::new();
        let mut set = |name: &str, value: Value| statement.insert(name.to_owned(), value);
        // IAM accepts only letters and digits.
        let sid: String = permission.action.split(':').skip(1).collect();
        set("Sid", sid.into());
        set("Effect", "Allow".into());
        set("Action", permission.action.into());
        set("Resource", resources.into());

        if let Some(condition) = self.condition(permission.action) {
            set("Condition", condition);
        }
        Some(statement.into())
    }

    fn arns(&self, scope: Scope) -> Vec<String> {
        let region = self.region.as_deref().unwrap_or("*");
        let account = self.account.as_deref().unwrap_or("*");
        let family = self.family.as_deref().unwrap_or("*");
        let cluster = self.cluster.as_deref().unwrap_or("*");
        let start =
            |service: &str| format!("arn:{}:{service}:{region}:{account}", partition(region));

        match scope {
            Scope::All => vec!["*".to_owned()],
            Scope::TaskDefinitions => vec![format!("{}:task-definition/{family}:*", start("ecs"))],
            Scope::Tasks => vec![format!("{}:task/{cluster}/*", start("ecs"))],
            Scope::Roles => self.roles.clone().unwrap_or_else(|| {
                vec![format!("arn:{}:iam::{account}:role/*", partition(region))]
            }),
            Scope::LogStreams => {
                let every = vec!["*".to_owned()];
                let groups = self.log_groups.as_ref().unwrap_or(&every).iter();
                let arn = |group| format!("{}:log-group:{group}:log-stream:*", start("logs"));
                groups.map(arn).collect()
            }
        }
    }

    fn condition(&self, action: &str) -> Option<Value> {
        match action {
            "iam:PassRole" => Some(
                json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } }),
            ),
            // Only while registering: the tags of other resources stay out of reach.
            "ecs:TagResource" => {
                Some(json!({ "StringEquals": { "ecs:CreateAction": "RegisterTaskDefinition" } }))
            }
            "ecs:RunTask" => {
                let region = self.region.as_deref().unwrap_or("*");
                let account = self.account.as_deref().unwrap_or("*");
                let cluster = self.cluster.as_ref()?;
                let partition = partition(region);
                let arn = format!("arn:{partition}:ecs:{region}:{account}:cluster/{cluster}");
                Some(json!({ "ArnLike": { "ecs:cluster": arn } }))
            }
            _ => None,
        }
    }
}

/// Returns the name of the partition of a region.
fn partition(region: &str) -> &'static str {
    Partition::from_region(region).name()
}

#[cfg(test)]
mod tests {
    use super::{AwsVerb, Resources};

    #[test]
    fn names_the_resources_that_are_known() {
        let resources = Resources {
            account: Some("111122223333".to_owned()),
            region: Some("cn-north-1".to_owned()),
            cluster: Some("main".to_owned()),
            family: Some("web".to_owned()),
            roles: Some(Vec::new()),
            log_groups: Some(vec!["/ecs/web".to_owned()]),
        };

        let policy = AwsVerb::Run.policy(&resources);
        let statements = policy["Statement"].as_array().expect("statements");
        let resource = |sid: &str| {
            let found = statements.iter().find(|statement| statement["Sid"] == sid);
            found.map(|statement| {
                statement["Resource"][0]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
        };

        let start = "arn:aws-cn:ecs:cn-north-1:111122223333";
        assert_eq!(
            resource("RunTask"),
            Some(format!("{start}:task-definition/web:*"))
        );

        assert_eq!(resource("StopTask"), Some(format!("{start}:task/main/*")));
        let logs = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/ecs/web:log-stream:*";
        assert_eq!(resource("GetLogEvents").as_deref(), Some(logs));
        // A task without roles passes none.
        assert_eq!(resource("PassRole"), None);
    }
}
