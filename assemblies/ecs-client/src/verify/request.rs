//! The task to verify, and its place.

use serde_json::Value;
use task_definition::TaskDefinition;

/// A task, and the place where it shall run.
#[derive(Debug, Clone)]
pub struct VerifyRequest {
    /// The task definition.
    pub definition: TaskDefinition,
    /// The account's number; `None` if it is that of the credentials.
    pub account: Option<String>,
    /// The region of the calls.
    pub region: String,
    /// Where the task shall run.
    pub place: Place,
    /// Where clients connect; `None` for a task without a load balancer.
    pub public: Option<PublicEndpoint>,
    /// What the roles must allow; if empty, it is derived from the definition.
    pub statements: Vec<RoleStatement>,
    /// The largest number of tasks.
    pub max_tasks: u32,
    /// Whether Application Auto Scaling sets the number of tasks.
    pub has_scaling: bool,
    /// Whether ECS Exec is enabled.
    pub has_exec: bool,
    /// Whether roles, log groups and service-linked roles may be missing, since a stack creates them.
    pub is_before_stack: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// Where a task shall run; empty fields are not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The cluster's name or ARN.
    pub cluster: Option<String>,
    /// The VPC.
    pub vpc: Option<String>,
    /// The subnets of the tasks.
    pub subnets: Vec<String>,
    /// The security groups of the tasks.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    pub has_public_address: bool,
    /// The ARN of the target group.
    pub target_group: Option<String>,
    /// The ARN of the listener that forwards to the tasks.
    pub listener: Option<String>,
    /// The security group of the load balancer.
    pub balancer_group: Option<String>,
    /// The ARN of the certificate.
    pub certificate: Option<String>,
    /// The names that clients connect to.
    pub hosts: Vec<String>,
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicEndpoint {
    /// The container.
    pub container: String,
    /// The port.
    pub port: u16,
    /// The protocols that a target group can have: `HTTP`, `HTTPS`, `TCP`, `TLS`.
    pub protocols: Vec<String>,
}

/// The roles of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleKind {
    /// ECS has it: pulls images, reads secrets, writes logs.
    Execution,
    /// The containers have it.
    Task,
}

/// What a role must allow.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleStatement {
    /// The role.
    pub role: RoleKind,
    /// The name of the statement.
    pub sid: String,
    /// The actions.
    pub actions: Vec<String>,
    /// The resources.
    pub resources: Vec<String>,
    /// The condition, as IAM writes it.
    pub condition: Value,
    /// Why it is needed.
    pub why: String,
}

impl RoleKind {
    /// Returns the name of the role in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execution => "execution role",
            Self::Task => "task role",
        }
    }
}

impl VerifyRequest {
    /// Returns the ARN of a role.
    pub(super) fn role(&self, kind: RoleKind) -> Option<&str> {
        match kind {
            RoleKind::Execution => self.definition.execution_role_arn.as_deref(),
            RoleKind::Task => self.definition.task_role_arn.as_deref(),
        }
    }

    /// Returns the platform as image indexes name it: the operating system and the architecture.
    pub(super) fn platform(&self) -> (&'static str, &'static str) {
        let platform = self.definition.runtime_platform.as_ref();
        let os = platform.and_then(|it| it.operating_system_family.as_deref());
        let cpu = platform.and_then(|it| it.cpu_architecture.as_deref());
        (
            if os.is_some_and(|os| os.starts_with("WINDOWS")) {
                "windows"
            } else {
                "linux"
            },
            if cpu == Some("ARM64") {
                "arm64"
            } else {
                "amd64"
            },
        )
    }
}
