//! The permissions that the verbs of `assemble` need.
//!
//! [`PERMISSIONS`] is the table. A test compares it with the calls that each verb makes.

use serde_json::{Map, Value, json};

use crate::partition::Partition;

/// A verb that calls AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsVerb {
    /// `assemble continue`
    Continue,
    /// `assemble deploy`
    Deploy,
    /// `assemble deploy` of a stack, besides the permissions for its resources
    DeployStack,
    /// `assemble destroy`, besides the permissions for the resources of the stack
    Destroy,
    /// `assemble diff`
    Diff,
    /// `assemble exec`
    Exec,
    /// `assemble forward`
    Forward,
    /// `assemble init aws`
    Init,
    /// `assemble logs`
    Logs,
    /// `assemble register`
    Register,
    /// `assemble rollback`
    Rollback,
    /// `assemble run`
    Run,
    /// `assemble scale`
    Scale,
    /// `assemble status`
    Status,
    /// `assemble verify`
    Verify,
    /// `assemble why`
    Why,
    /// `assemble images push` to Amazon ECR
    ImagesPush,
    /// `assemble images prune` with Amazon ECR
    ImagesPrune,
    /// `assemble lock` with Amazon ECR
    Lock,
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
    /// The log groups of the containers.
    LogGroups,
    /// The services of the cluster.
    Services,
    /// The deployments of the services of the cluster.
    ServiceDeployments,
    /// The revisions of the services of the cluster.
    ServiceRevisions,
    /// The cluster and its tasks.
    ClusterAndTasks,
    /// The tasks of the cluster, and the document of the session.
    SessionTargets,
    /// The repositories of the images.
    Repositories,
    /// The secrets of the containers.
    Secrets,
    /// The stack with the name of the family.
    Stacks,
}

use AwsVerb::{
    Continue, Deploy, DeployStack, Destroy, Diff, Exec, Forward, ImagesPrune, ImagesPush, Init,
    Lock, Logs, Register, Rollback, Run, Scale, Status, Verify, Why,
};

/// The permissions of all verbs.
///
/// Source: "Actions, resources, and condition keys for Amazon Elastic Container Service", and the same pages for the
/// other services, in the Service Authorization Reference. GetCallerIdentity needs no permission (STS API reference). The
/// registry protocol of ECR needs the permissions of the API operations that do the same (ECR user guide, "IAM
/// permissions for pushing an image"); mounting a layer that of reading it ("Blob mounting"), and listing referrers
/// BatchGetImage (ListImageReferrers in the API reference).
pub const PERMISSIONS: &[Permission] = &[
    Permission {
        action: "ecs:DescribeTaskDefinition",
        verbs: &[
            Deploy,
            DeployStack,
            Diff,
            Logs,
            Register,
            Rollback,
            Run,
            Why,
            ImagesPrune,
        ],
        scope: Scope::All,
        reason: "reads registered revisions",
    },
    Permission {
        action: "ecs:RegisterTaskDefinition",
        verbs: &[Deploy, Register],
        scope: Scope::All,
        reason: "registers a revision",
    },
    Permission {
        action: "ecs:TagResource",
        verbs: &[Deploy, Register],
        scope: Scope::TaskDefinitions,
        reason: "sets the tags of the revision, if the definition has tags",
    },
    Permission {
        action: "iam:PassRole",
        verbs: &[Deploy, Register, Run],
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
        verbs: &[Deploy, DeployStack, Exec, Forward, Logs, Rollback, Run, Why],
        scope: Scope::Tasks,
        reason: "reads the state of tasks",
    },
    Permission {
        action: "ecs:StopTask",
        verbs: &[Run],
        scope: Scope::Tasks,
        reason: "stops the task after Ctrl-C, if that is chosen",
    },
    Permission {
        action: "logs:GetLogEvents",
        verbs: &[Deploy, DeployStack, Rollback, Run],
        scope: Scope::LogStreams,
        reason: "reads the output of the containers: with --logs, and of failed tasks of a deployment",
    },
    Permission {
        action: "logs:FilterLogEvents",
        verbs: &[Logs],
        scope: Scope::LogGroups,
        reason: "reads the output of the containers",
    },
    Permission {
        action: "ecs:DescribeServices",
        verbs: &[
            Continue,
            Deploy,
            DeployStack,
            Diff,
            Logs,
            Rollback,
            Status,
            Verify,
        ],
        scope: Scope::Services,
        reason: "reads the service",
    },
    Permission {
        action: "ecs:UpdateService",
        verbs: &[Deploy, DeployStack, Rollback, Scale],
        scope: Scope::Services,
        reason: "deploys a revision, or sets the number of tasks",
    },
    Permission {
        action: "ecs:ListServiceDeployments",
        verbs: &[Deploy, DeployStack, Diff, Rollback],
        scope: Scope::Services,
        reason: "finds the deployment of the revision, and those before it",
    },
    Permission {
        action: "ecs:DescribeServiceRevisions",
        verbs: &[Deploy, DeployStack, Rollback],
        scope: Scope::ServiceRevisions,
        reason: "reads which task definition a deployment leads to",
    },
    Permission {
        action: "ecs:DescribeServiceDeployments",
        verbs: &[Continue, Deploy, DeployStack, Rollback, Status],
        scope: Scope::ServiceDeployments,
        reason: "follows the deployment",
    },
    Permission {
        action: "ecs:ContinueServiceDeployment",
        verbs: &[Continue, Rollback],
        scope: Scope::ServiceDeployments,
        reason: "answers a hook that waits",
    },
    Permission {
        action: "ecs:ListTasks",
        verbs: &[Deploy, DeployStack, Exec, Forward, Rollback],
        scope: Scope::All,
        reason: "finds the tasks of the service",
    },
    Permission {
        action: "ecs:ExecuteCommand",
        verbs: &[Exec],
        scope: Scope::ClusterAndTasks,
        reason: "starts the command",
    },
    Permission {
        action: "ssm:StartSession",
        verbs: &[Forward],
        scope: Scope::SessionTargets,
        reason: "forwards the port",
    },
    Permission {
        action: "application-autoscaling:DescribeScalableTargets",
        verbs: &[Diff, Scale],
        scope: Scope::All,
        reason: "reads the limits of the auto scaling",
    },
    Permission {
        action: "application-autoscaling:RegisterScalableTarget",
        verbs: &[Scale],
        scope: Scope::All,
        reason: "sets the limits of the auto scaling, with --min or --max",
    },
    Permission {
        action: "cloudformation:DescribeStacks",
        verbs: &[DeployStack, Destroy],
        scope: Scope::Stacks,
        reason: "reads the stack",
    },
    Permission {
        action: "cloudformation:ListChangeSets",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "finds change sets of other tools, and those of interrupted deploys",
    },
    Permission {
        action: "cloudformation:CreateChangeSet",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "asks CloudFormation what would change",
    },
    Permission {
        action: "cloudformation:TagResource",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "marks the stack as made by `assemble deploy`",
    },
    Permission {
        action: "cloudformation:DescribeChangeSet",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "reads what would change",
    },
    Permission {
        action: "cloudformation:DeleteChangeSet",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "deletes a change set without changes, or that is not wanted",
    },
    Permission {
        action: "cloudformation:ExecuteChangeSet",
        verbs: &[DeployStack],
        scope: Scope::Stacks,
        reason: "changes the stack",
    },
    Permission {
        action: "cloudformation:DescribeStackEvents",
        verbs: &[DeployStack, Destroy],
        scope: Scope::Stacks,
        reason: "follows the change",
    },
    Permission {
        action: "cloudformation:DeleteStack",
        verbs: &[DeployStack, Destroy],
        scope: Scope::Stacks,
        reason: "deletes the stack, or one that could not be created",
    },
    Permission {
        action: "cloudformation:DescribeStackResources",
        verbs: &[Destroy],
        scope: Scope::Stacks,
        reason: "lists what is deleted, and what stays",
    },
    Permission {
        action: "ecs:ListTaskDefinitionFamilies",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:ListTaskDefinitions",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:ListClusters",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:ListServices",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:DescribeServices",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:ListServiceDeployments",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecs:DescribeServiceRevisions",
        verbs: &[ImagesPrune],
        scope: Scope::All,
        reason: "finds the images that are in use, in all clusters",
    },
    Permission {
        action: "ecr:GetAuthorizationToken",
        verbs: &[ImagesPush, ImagesPrune, Lock],
        scope: Scope::All,
        reason: "logs in to the registry",
    },
    Permission {
        action: "ecr:BatchGetImage",
        verbs: &[ImagesPush, ImagesPrune, Lock, Verify],
        scope: Scope::Repositories,
        reason: "reads manifests, by tag and digest, and what describes them",
    },
    Permission {
        action: "ecr:GetDownloadUrlForLayer",
        verbs: &[ImagesPush, Lock],
        scope: Scope::Repositories,
        reason: "reads the configuration of an image, and mounts layers of other repositories",
    },
    Permission {
        action: "ecr:BatchCheckLayerAvailability",
        verbs: &[ImagesPush],
        scope: Scope::Repositories,
        reason: "finds the layers that the repository has",
    },
    Permission {
        action: "ecr:InitiateLayerUpload",
        verbs: &[ImagesPush],
        scope: Scope::Repositories,
        reason: "starts the upload of a layer",
    },
    Permission {
        action: "ecr:UploadLayerPart",
        verbs: &[ImagesPush],
        scope: Scope::Repositories,
        reason: "uploads a layer",
    },
    Permission {
        action: "ecr:CompleteLayerUpload",
        verbs: &[ImagesPush],
        scope: Scope::Repositories,
        reason: "ends the upload of a layer",
    },
    Permission {
        action: "ecr:PutImage",
        verbs: &[ImagesPush],
        scope: Scope::Repositories,
        reason: "writes manifests and tags",
    },
    Permission {
        action: "ecr:CreateRepository",
        verbs: &[ImagesPush],
        scope: Scope::All,
        reason: "creates missing repositories, with --create-repositories",
    },
    Permission {
        action: "ecr:ListImages",
        verbs: &[ImagesPrune],
        scope: Scope::Repositories,
        reason: "lists tags, and images without one",
    },
    Permission {
        action: "ecr:BatchDeleteImage",
        verbs: &[ImagesPrune],
        scope: Scope::Repositories,
        reason: "deletes images",
    },
    Permission {
        action: "ecs:DescribeClusters",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the cluster",
    },
    Permission {
        action: "ecs:ListClusters",
        verbs: &[Init],
        scope: Scope::All,
        reason: "finds the clusters",
    },
    Permission {
        action: "ec2:DescribeVpcs",
        verbs: &[Init],
        scope: Scope::All,
        reason: "finds the VPCs",
    },
    Permission {
        action: "ec2:DescribeSubnets",
        verbs: &[Init, Verify],
        scope: Scope::All,
        reason: "reads the subnets of the tasks",
    },
    Permission {
        action: "ec2:DescribeRouteTables",
        verbs: &[Init, Verify],
        scope: Scope::All,
        reason: "reads the routes of the subnets",
    },
    Permission {
        action: "ec2:DescribeNatGateways",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the NAT gateways that routes lead to",
    },
    Permission {
        action: "ec2:DescribeNetworkAcls",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the network ACLs of the subnets",
    },
    Permission {
        action: "ec2:DescribeVpcEndpoints",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the VPC endpoints",
    },
    Permission {
        action: "ec2:DescribeVpcAttribute",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads whether the VPC has DNS",
    },
    Permission {
        action: "ec2:DescribeSecurityGroups",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the rules of tasks, load balancer and VPC endpoints",
    },
    Permission {
        action: "secretsmanager:DescribeSecret",
        verbs: &[Verify],
        scope: Scope::Secrets,
        reason: "finds the secrets and their versions",
    },
    Permission {
        action: "secretsmanager:GetSecretValue",
        verbs: &[Verify],
        scope: Scope::Secrets,
        reason: "reads the keys of a JSON secret, if the definition names one; values are not kept",
    },
    Permission {
        action: "ssm:DescribeParameters",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "finds the parameters",
    },
    Permission {
        action: "iam:GetRole",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the roles and who may assume them",
    },
    Permission {
        action: "iam:SimulatePrincipalPolicy",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "computes what the roles and the caller may do",
    },
    Permission {
        action: "logs:DescribeLogGroups",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "finds the log groups",
    },
    Permission {
        action: "elasticloadbalancing:DescribeTargetGroups",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the target group",
    },
    Permission {
        action: "elasticloadbalancing:DescribeLoadBalancers",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the load balancer",
    },
    Permission {
        action: "elasticloadbalancing:DescribeListeners",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the listeners",
    },
    Permission {
        action: "acm:DescribeCertificate",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the certificates of the load balancer",
    },
    Permission {
        action: "servicequotas:ListServiceQuotas",
        verbs: &[Verify],
        scope: Scope::All,
        reason: "reads the quotas of Fargate and ECS",
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
    /// The repositories of Amazon ECR with the images; `None` if the definition is unknown.
    pub repositories: Option<Vec<String>>,
    /// The ARNs of the secrets; `None` if the definition is unknown.
    pub secrets: Option<Vec<String>>,
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
            Scope::Secrets => self
                .secrets
                .clone()
                .unwrap_or_else(|| vec![format!("{}:secret:*", start("secretsmanager"))]),
            Scope::LogStreams => self.log_arns(&start("logs"), ":log-stream:*"),
            Scope::LogGroups => self.log_arns(&start("logs"), ":*"),
            Scope::Services => vec![format!("{}:service/{cluster}/*", start("ecs"))],
            Scope::ServiceDeployments => {
                vec![format!("{}:service-deployment/{cluster}/*", start("ecs"))]
            }
            Scope::ServiceRevisions => {
                vec![format!("{}:service-revision/{cluster}/*", start("ecs"))]
            }
            Scope::ClusterAndTasks => vec![
                format!("{}:cluster/{cluster}", start("ecs")),
                format!("{}:task/{cluster}/*", start("ecs")),
            ],
            Scope::SessionTargets => vec![
                format!("{}:task/{cluster}/*", start("ecs")),
                format!(
                    "arn:{}:ssm:{region}::document/AWS-StartPortForwardingSession",
                    partition(region)
                ),
            ],
            // Stacks have the name of the family, and an id.
            Scope::Stacks => vec![format!("{}:stack/{family}/*", start("cloudformation"))],
            Scope::Repositories => {
                let every = vec!["*".to_owned()];
                let names = self.repositories.as_ref().unwrap_or(&every).iter();
                let arn = |name| format!("{}:repository/{name}", start("ecr"));
                names.map(arn).collect()
            }
        }
    }

    /// Returns the log groups, with what the ARN of the resource adds.
    fn log_arns(&self, start: &str, end: &str) -> Vec<String> {
        let every = vec!["*".to_owned()];
        let groups = self.log_groups.as_ref().unwrap_or(&every).iter();
        groups
            .map(|group| format!("{start}:log-group:{group}{end}"))
            .collect()
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
            "ecs:RunTask" | "ecs:ListTasks" => {
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
            repositories: None,
            secrets: None,
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
