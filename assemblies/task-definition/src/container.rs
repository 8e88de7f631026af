//! A container of a task, field by field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::{HasSchema, Schema, records};

mod parts;
pub use parts::*;

records! {
    /// One container of a task.
    ContainerDefinition {
        /// The name, unique in the task.
        "name" name: String,
        /// The image.
        "image" image: String,
        /// How to log in to a private registry.
        "repositoryCredentials" repository_credentials: Option<RepositoryCredentials>,
        /// CPU units; on Linux a share, not a limit.
        "cpu" cpu: Option<u32>,
        /// The hard limit in MiB: above it the container is killed.
        "memory" memory: Option<u32>,
        /// The memory set aside in MiB.
        "memoryReservation" memory_reservation: Option<u32>,
        /// Docker links; not on Fargate.
        "links" links: Vec<String>,
        /// The ports that are offered.
        "portMappings" port_mappings: Vec<PortMapping>,
        /// Whether the task ends with this container; left out it does.
        "essential" essential: Option<bool>,
        /// Whether ECS starts it again in place.
        "restartPolicy" restart_policy: Option<RestartPolicy>,
        /// Replaces the image's ENTRYPOINT.
        "entryPoint" entry_point: Vec<String>,
        /// Replaces the image's CMD.
        "command" command: Vec<String>,
        /// Environment variables that anybody may read.
        "environment" environment: Vec<KeyValue>,
        /// Files of environment variables in S3.
        "environmentFiles" environment_files: Vec<EnvironmentFile>,
        /// Volumes and where they appear.
        "mountPoints" mount_points: Vec<MountPoint>,
        /// Containers whose mounts are taken over.
        "volumesFrom" volumes_from: Vec<VolumeFrom>,
        /// Options only Linux has.
        "linuxParameters" linux_parameters: Option<LinuxParameters>,
        /// Environment variables filled from Secrets Manager or Parameter Store.
        "secrets" secrets: Vec<Secret>,
        /// Containers that must have got somewhere before this one starts.
        "dependsOn" depends_on: Vec<Dependency>,
        /// Seconds in which this container must satisfy the ones that depend on it.
        "startTimeout" start_timeout: Option<u32>,
        /// Seconds between SIGTERM and SIGKILL.
        "stopTimeout" stop_timeout: Option<u32>,
        /// Whether ECS replaces the tag by a digest: `enabled` or `disabled`.
        "versionConsistency" version_consistency: Option<String>,
        /// The host name; not with awsvpc.
        "hostname" hostname: Option<String>,
        /// The user inside the container.
        "user" user: Option<String>,
        /// The folder in which the command starts.
        "workingDirectory" working_directory: Option<String>,
        /// Whether there is no network; not on Fargate.
        "disableNetworking" disable_networking: Option<bool>,
        /// Whether it has the machine's rights; not on Fargate.
        "privileged" privileged: Option<bool>,
        /// Whether the container's own files can only be read.
        "readonlyRootFilesystem" readonly_root_filesystem: Option<bool>,
        /// DNS servers; not with awsvpc.
        "dnsServers" dns_servers: Vec<String>,
        /// DNS search domains; not with awsvpc.
        "dnsSearchDomains" dns_search_domains: Vec<String>,
        /// Lines of `/etc/hosts`; not with awsvpc.
        "extraHosts" extra_hosts: Vec<HostEntry>,
        /// SELinux, AppArmor and the like; not on Fargate.
        "dockerSecurityOptions" docker_security_options: Vec<String>,
        /// Whether stdin stays open.
        "interactive" interactive: Option<bool>,
        /// Whether there is a terminal.
        "pseudoTerminal" pseudo_terminal: Option<bool>,
        /// Labels of the container.
        "dockerLabels" docker_labels: BTreeMap<String, String>,
        /// Limits of the kernel.
        "ulimits" ulimits: Vec<Ulimit>,
        /// Where stdout and stderr go.
        "logConfiguration" log_configuration: Option<LogConfiguration>,
        /// How ECS asks whether the container is well.
        "healthCheck" health_check: Option<HealthCheck>,
        /// Kernel settings of the namespace.
        "systemControls" system_controls: Vec<SystemControl>,
        /// GPUs and the like.
        "resourceRequirements" resource_requirements: Vec<ResourceRequirement>,
        /// Makes this container the log router.
        "firelensConfiguration" firelens_configuration: Option<FirelensConfiguration>,
        /// Credential specification files.
        "credentialSpecs" credential_specs: Vec<String>,
    }
}

impl ContainerDefinition {
    /// Whether the task ends when this container does. Left out means yes.
    pub fn is_essential(&self) -> bool {
        self.essential.unwrap_or(true)
    }

    /// The value of an environment variable written in the definition.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|one| one.name == name)?;
        Some(&found.value)
    }
}

/// What a dependency must have reached before the dependant starts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Condition {
    /// It has been started.
    #[default]
    Start,
    /// It has ended, however.
    Complete,
    /// It has ended with exit code 0.
    Success,
    /// Its health check has passed.
    Healthy,
}

impl Condition {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Success => "SUCCESS",
            Self::Healthy => "HEALTHY",
        }
    }
}

impl HasSchema for Condition {
    const SCHEMA: Schema = Schema::Choice(&["START", "COMPLETE", "SUCCESS", "HEALTHY"]);
}
