//! The records inside a container definition.

use std::collections::BTreeMap;

use crate::record::records;

use super::Condition;

records! {
    /// How to log in to a private registry.
    RepositoryCredentials {
        /// The secret's ARN or name.
        "credentialsParameter" credentials_parameter: String,
    }
    /// A port or port range of a container.
    PortMapping {
        /// The port inside the container.
        "containerPort" container_port: Option<u32>,
        /// The port on the host; with awsvpc absent or equal to containerPort.
        "hostPort" host_port: Option<u32>,
        /// `tcp` or `udp`.
        "protocol" protocol: Option<String>,
        /// The name that Service Connect and VPC Lattice use.
        "name" name: Option<String>,
        /// `http`, `http2` or `grpc`.
        "appProtocol" app_protocol: Option<String>,
        /// A range of ports: `8000-8010`.
        "containerPortRange" container_port_range: Option<String>,
    }
    /// Whether ECS restarts a container in place.
    RestartPolicy {
        /// Whether the policy is enabled.
        "enabled" enabled: bool,
        /// Exit codes that do not cause a restart.
        "ignoredExitCodes" ignored_exit_codes: Vec<i64>,
        /// Seconds that a container must run before it is restarted.
        "restartAttemptPeriod" restart_attempt_period: Option<u32>,
    }
    /// A name and a value: an environment variable or a proxy setting.
    KeyValue {
        /// The name.
        "name" name: String,
        /// The value.
        "value" value: String,
    }
    /// An environment file in S3.
    EnvironmentFile {
        /// The object's ARN.
        "value" value: String,
        /// `s3` is the only one.
        "type" kind: String,
    }
    /// A volume and its mount path.
    MountPoint {
        /// The volume's name.
        "sourceVolume" source_volume: String,
        /// The mount path in the container.
        "containerPath" container_path: String,
        /// Whether the mount is read-only.
        "readOnly" read_only: Option<bool>,
    }
    /// A container from which volumes are mounted.
    VolumeFrom {
        /// The name of the container.
        "sourceContainer" source_container: String,
        /// Whether the mounts are read-only.
        "readOnly" read_only: Option<bool>,
    }
    /// Linux-specific options.
    LinuxParameters {
        /// Linux capabilities.
        "capabilities" capabilities: Option<Capabilities>,
        /// Host devices; not on Fargate.
        "devices" devices: Vec<Device>,
        /// Whether a small init runs as PID 1 and reaps processes.
        "initProcessEnabled" init_process_enabled: Option<bool>,
        /// MiB of `/dev/shm`; not on Fargate.
        "sharedMemorySize" shared_memory_size: Option<u32>,
        /// tmpfs mounts.
        "tmpfs" tmpfs: Vec<Tmpfs>,
        /// MiB of swap; not on Fargate.
        "maxSwap" max_swap: Option<u32>,
        /// The swappiness, 0 to 100; not on Fargate.
        "swappiness" swappiness: Option<u32>,
    }
    /// Linux capabilities.
    Capabilities {
        /// Capabilities to add.
        "add" add: Vec<String>,
        /// Capabilities to drop.
        "drop" drop: Vec<String>,
    }
    /// A host device.
    Device {
        /// The path on the host.
        "hostPath" host_path: String,
        /// The path in the container.
        "containerPath" container_path: Option<String>,
        /// `read`, `write`, `mknod`.
        "permissions" permissions: Vec<String>,
    }
    /// A tmpfs mount.
    Tmpfs {
        /// The mount path.
        "containerPath" container_path: String,
        /// MiB.
        "size" size: u32,
        /// Mount options.
        "mountOptions" mount_options: Vec<String>,
    }
    /// An environment variable, or a log option, filled from Secrets Manager or Parameter Store.
    Secret {
        /// The variable's name.
        "name" name: String,
        /// The secret's ARN, or a parameter's name in the same region.
        "valueFrom" value_from: String,
    }
    /// A container that must reach a condition before this one starts.
    Dependency {
        /// The name of the container.
        "containerName" container_name: String,
        /// The condition.
        "condition" condition: Condition,
    }
    /// A line of `/etc/hosts`.
    HostEntry {
        /// The name.
        "hostname" hostname: String,
        /// The address.
        "ipAddress" ip_address: String,
    }
    /// A resource limit.
    Ulimit {
        /// The resource: `nofile`, `nproc` …
        "name" name: String,
        /// The soft limit.
        "softLimit" soft_limit: i64,
        /// The hard limit, up to which a process may raise the soft limit.
        "hardLimit" hard_limit: i64,
    }
    /// The destination of stdout and stderr.
    LogConfiguration {
        /// `awslogs`, `splunk`, `awsfirelens` on Fargate.
        "logDriver" log_driver: String,
        /// Options of the driver.
        "options" options: BTreeMap<String, String>,
        /// Options of the driver from Secrets Manager or Parameter Store.
        "secretOptions" secret_options: Vec<Secret>,
    }
    /// A health check.
    HealthCheck {
        /// `["CMD", "/program", "argument"]` or `["CMD-SHELL", "line"]`.
        "command" command: Vec<String>,
        /// Seconds between two checks; defaults to 30.
        "interval" interval: Option<u32>,
        /// The timeout of a check in seconds; defaults to 5.
        "timeout" timeout: Option<u32>,
        /// Consecutive failures after which the container is unhealthy; defaults to 3.
        "retries" retries: Option<u32>,
        /// Seconds after the start in which failures do not count.
        "startPeriod" start_period: Option<u32>,
    }
    /// A namespaced kernel parameter.
    SystemControl {
        /// The parameter: `net.core.somaxconn` …
        "namespace" namespace: String,
        /// The value.
        "value" value: String,
    }
    /// A GPU or other accelerator.
    ResourceRequirement {
        /// The number, or the device name.
        "value" value: String,
        /// `GPU`, `InferenceAccelerator` or `NeuronDevice`.
        "type" kind: String,
        /// How the device is shared.
        "sharingStrategy" sharing_strategy: Option<SharingStrategy>,
    }
    /// How a GPU is shared between tasks.
    SharingStrategy {
        /// NVIDIA Multi-Process Service.
        "nvidiaMps" nvidia_mps: Option<NvidiaMps>,
    }
    /// A part of a GPU under NVIDIA's Multi-Process Service.
    NvidiaMps {
        /// MiB of the GPU's memory.
        "memory" memory: u32,
        /// The maximum share of compute time in percent.
        "maxComputePercent" max_compute_percent: Option<u32>,
    }
    /// Makes a container the log router.
    FirelensConfiguration {
        /// `fluentd` or `fluentbit`.
        "type" kind: String,
        /// Options of the router.
        "options" options: BTreeMap<String, String>,
    }
}
