//! The smaller records a container is made of.

use std::collections::BTreeMap;

use super::Condition;
use crate::record::records;

records! {
    /// How to log in to a private registry.
    RepositoryCredentials {
        /// The secret's ARN or name.
        "credentialsParameter" credentials_parameter: String,
    }
    /// A port, or a range of ports, that a container offers.
    PortMapping {
        /// The port inside the container.
        "containerPort" container_port: Option<u32>,
        /// The port outside; with awsvpc absent or the same.
        "hostPort" host_port: Option<u32>,
        /// `tcp` or `udp`.
        "protocol" protocol: Option<String>,
        /// The name Service Connect and load balancers use.
        "name" name: Option<String>,
        /// `http`, `http2` or `grpc`.
        "appProtocol" app_protocol: Option<String>,
        /// Several ports: `8000-8010`.
        "containerPortRange" container_port_range: Option<String>,
    }
    /// Whether ECS starts a container again in place.
    RestartPolicy {
        /// Whether it does at all.
        "enabled" enabled: bool,
        /// Exit codes after which it does not.
        "ignoredExitCodes" ignored_exit_codes: Vec<i64>,
        /// Seconds a container must have run to be started again.
        "restartAttemptPeriod" restart_attempt_period: Option<u32>,
    }
    /// A name with a value: an environment variable or a setting of a proxy.
    KeyValue {
        /// The name.
        "name" name: String,
        /// The value.
        "value" value: String,
    }
    /// A file of environment variables in S3.
    EnvironmentFile {
        /// The object's ARN.
        "value" value: String,
        /// `s3` is the only one.
        "type" kind: String,
    }
    /// A volume and where it appears.
    MountPoint {
        /// The volume's name.
        "sourceVolume" source_volume: String,
        /// Where it appears in the container.
        "containerPath" container_path: String,
        /// Whether it can only be read.
        "readOnly" read_only: Option<bool>,
    }
    /// A container whose mounts are taken over.
    VolumeFrom {
        /// That container's name.
        "sourceContainer" source_container: String,
        /// Whether they can only be read.
        "readOnly" read_only: Option<bool>,
    }
    /// Options only Linux has.
    LinuxParameters {
        /// What the container may do beyond an ordinary process.
        "capabilities" capabilities: Option<Capabilities>,
        /// Devices of the machine; not on Fargate.
        "devices" devices: Vec<Device>,
        /// Whether a small init runs as PID 1 and reaps processes.
        "initProcessEnabled" init_process_enabled: Option<bool>,
        /// MiB of `/dev/shm`; not on Fargate.
        "sharedMemorySize" shared_memory_size: Option<u32>,
        /// Folders in memory.
        "tmpfs" tmpfs: Vec<Tmpfs>,
        /// MiB of swap; not on Fargate.
        "maxSwap" max_swap: Option<u32>,
        /// How eagerly to swap, 0 to 100; not on Fargate.
        "swappiness" swappiness: Option<u32>,
    }
    /// What a container may do beyond an ordinary process.
    Capabilities {
        /// Rights that are given.
        "add" add: Vec<String>,
        /// Rights that are taken away.
        "drop" drop: Vec<String>,
    }
    /// A device of the machine.
    Device {
        /// Its path on the machine.
        "hostPath" host_path: String,
        /// Its path in the container.
        "containerPath" container_path: Option<String>,
        /// `read`, `write`, `mknod`.
        "permissions" permissions: Vec<String>,
    }
    /// A folder in memory.
    Tmpfs {
        /// Where it appears.
        "containerPath" container_path: String,
        /// MiB.
        "size" size: u32,
        /// Options of the mount.
        "mountOptions" mount_options: Vec<String>,
    }
    /// An environment variable, or a log option, filled from Secrets Manager or Parameter Store.
    Secret {
        /// The variable's name.
        "name" name: String,
        /// The secret's ARN, or a parameter's name in the same region.
        "valueFrom" value_from: String,
    }
    /// A container that must have got somewhere before this one starts.
    Dependency {
        /// That container's name.
        "containerName" container_name: String,
        /// Where it must have got to.
        "condition" condition: Condition,
    }
    /// A line of `/etc/hosts`.
    HostEntry {
        /// The name.
        "hostname" hostname: String,
        /// The address.
        "ipAddress" ip_address: String,
    }
    /// A limit of the kernel.
    Ulimit {
        /// Which one: `nofile`, `nproc` …
        "name" name: String,
        /// The limit a process starts with.
        "softLimit" soft_limit: i64,
        /// The limit up to which it may raise it.
        "hardLimit" hard_limit: i64,
    }
    /// Where stdout and stderr go.
    LogConfiguration {
        /// `awslogs`, `splunk`, `awsfirelens` on Fargate.
        "logDriver" log_driver: String,
        /// Options of the driver.
        "options" options: BTreeMap<String, String>,
        /// Options of the driver that are secret.
        "secretOptions" secret_options: Vec<Secret>,
    }
    /// How ECS asks whether a container is well.
    HealthCheck {
        /// `["CMD", "/program", "argument"]` or `["CMD-SHELL", "line"]`.
        "command" command: Vec<String>,
        /// Seconds between two checks; 30 when left out.
        "interval" interval: Option<u32>,
        /// Seconds one check may take; 5 when left out.
        "timeout" timeout: Option<u32>,
        /// Failures in a row that make it unhealthy; 3 when left out.
        "retries" retries: Option<u32>,
        /// Seconds at the start in which failures do not count.
        "startPeriod" start_period: Option<u32>,
    }
    /// A kernel setting of the namespace.
    SystemControl {
        /// The setting: `net.core.somaxconn` …
        "namespace" namespace: String,
        /// Its value.
        "value" value: String,
    }
    /// A GPU or the like.
    ResourceRequirement {
        /// How many, or which.
        "value" value: String,
        /// `GPU`, `InferenceAccelerator` or `NeuronDevice`.
        "type" kind: String,
        /// How the device is shared.
        "sharingStrategy" sharing_strategy: Option<SharingStrategy>,
    }
    /// How a GPU is shared between tasks.
    SharingStrategy {
        /// By NVIDIA's Multi-Process Service.
        "nvidiaMps" nvidia_mps: Option<NvidiaMps>,
    }
    /// A part of a GPU under NVIDIA's Multi-Process Service.
    NvidiaMps {
        /// MiB of the GPU's memory.
        "memory" memory: u32,
        /// The largest part of its time, in percent.
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
