//! Container definitions, field by field.

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
        /// The hard memory limit in MiB, above which the container is killed.
        "memory" memory: Option<u32>,
        /// The reserved memory in MiB.
        "memoryReservation" memory_reservation: Option<u32>,
        /// Docker links; not on Fargate.
        "links" links: Vec<String>,
        /// The ports of the container.
        "portMappings" port_mappings: Vec<PortMapping>,
        /// Whether the task stops when this container exits; defaults to true.
        "essential" essential: Option<bool>,
        /// Whether ECS restarts the container in place.
        "restartPolicy" restart_policy: Option<RestartPolicy>,
        /// Replaces the image's ENTRYPOINT.
        "entryPoint" entry_point: Vec<String>,
        /// Replaces the image's CMD.
        "command" command: Vec<String>,
        /// Environment variables in plain text.
        "environment" environment: Vec<KeyValue>,
        /// Environment files in S3.
        "environmentFiles" environment_files: Vec<EnvironmentFile>,
        /// Volumes and their mount paths.
        "mountPoints" mount_points: Vec<MountPoint>,
        /// Containers from which volumes are mounted.
        "volumesFrom" volumes_from: Vec<VolumeFrom>,
        /// Linux-specific options.
        "linuxParameters" linux_parameters: Option<LinuxParameters>,
        /// Environment variables filled from Secrets Manager or Parameter Store.
        "secrets" secrets: Vec<Secret>,
        /// Containers that must reach a condition before this one starts.
        "dependsOn" depends_on: Vec<Dependency>,
        /// Seconds in which this container must reach the conditions of its dependents.
        "startTimeout" start_timeout: Option<u32>,
        /// Seconds between SIGTERM and SIGKILL.
        "stopTimeout" stop_timeout: Option<u32>,
        /// Whether ECS resolves the tag to a digest: `enabled` or `disabled`.
        "versionConsistency" version_consistency: Option<String>,
        /// The host name; not with awsvpc.
        "hostname" hostname: Option<String>,
        /// The user inside the container.
        "user" user: Option<String>,
        /// The working directory of the command.
        "workingDirectory" working_directory: Option<String>,
        /// Whether networking is disabled; not on Fargate.
        "disableNetworking" disable_networking: Option<bool>,
        /// Whether the container has root privileges on the host; not on Fargate.
        "privileged" privileged: Option<bool>,
        /// Whether the root file system is read-only.
        "readonlyRootFilesystem" readonly_root_filesystem: Option<bool>,
        /// DNS servers; not with awsvpc.
        "dnsServers" dns_servers: Vec<String>,
        /// DNS search domains; not with awsvpc.
        "dnsSearchDomains" dns_search_domains: Vec<String>,
        /// Lines of `/etc/hosts`; not with awsvpc.
        "extraHosts" extra_hosts: Vec<HostEntry>,
        /// SELinux and AppArmor options; not on Fargate.
        "dockerSecurityOptions" docker_security_options: Vec<String>,
        /// Whether stdin stays open.
        "interactive" interactive: Option<bool>,
        /// Whether a terminal is allocated.
        "pseudoTerminal" pseudo_terminal: Option<bool>,
        /// Labels of the container.
        "dockerLabels" docker_labels: BTreeMap<String, String>,
        /// Resource limits of the processes.
        "ulimits" ulimits: Vec<Ulimit>,
        /// The destination of stdout and stderr.
        "logConfiguration" log_configuration: Option<LogConfiguration>,
        /// The health check.
        "healthCheck" health_check: Option<HealthCheck>,
        /// Namespaced kernel parameters.
        "systemControls" system_controls: Vec<SystemControl>,
        /// GPUs and other accelerators.
        "resourceRequirements" resource_requirements: Vec<ResourceRequirement>,
        /// Makes this container the log router.
        "firelensConfiguration" firelens_configuration: Option<FirelensConfiguration>,
        /// Credential specification files.
        "credentialSpecs" credential_specs: Vec<String>,
    }
}

impl ContainerDefinition {
    /// Returns whether the task stops when this container exits. Defaults to true.
    pub fn is_essential(&self) -> bool {
        self.essential.unwrap_or(true)
    }

    /// Returns the value of a plain environment variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let variable = self
            .environment
            .iter()
            .find(|variable| variable.name == name)?;
        Some(&variable.value)
    }
}

/// The condition of a dependency before the dependent container starts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Condition {
    /// It has been started.
    #[default]
    Start,
    /// It has exited, with any exit code.
    Complete,
    /// It has exited with exit code 0.
    Success,
    /// Its health check has passed.
    Healthy,
}

impl Condition {
    /// Returns the value in JSON.
    pub fn as_str(self) -> &'static str {
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
