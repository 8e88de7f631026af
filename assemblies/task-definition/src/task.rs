//! The task definition itself: the input of RegisterTaskDefinition, field by field.

use crate::container::{ContainerDefinition, KeyValue};
use crate::record::records;
use crate::volume::Volume;

records! {
    /// The input of RegisterTaskDefinition.
    ///
    /// In the API, numbers of the task are strings (`"256"`) and numbers of a container are numbers.
    TaskDefinition {
        /// The name that groups the revisions.
        "family" family: String,
        /// The role of the programs in the containers.
        "taskRoleArn" task_role_arn: Option<String>,
        /// The role with which ECS pulls images, reads secrets and writes logs.
        "executionRoleArn" execution_role_arn: Option<String>,
        /// `awsvpc` on Fargate; `bridge`, `host` or `none` elsewhere.
        "networkMode" network_mode: Option<String>,
        /// The containers, at most ten.
        "containerDefinitions" container_definitions: Vec<ContainerDefinition>,
        /// The volumes that containers can mount.
        "volumes" volumes: Vec<Volume>,
        /// Placement constraints; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// The compatible launch types: `FARGATE`, `EC2`, `EXTERNAL`, `MANAGED_INSTANCES`.
        "requiresCompatibilities" requires_compatibilities: Vec<String>,
        /// CPU units of the task as a string: `"256"` is a quarter of a vCPU.
        "cpu" cpu: Option<String>,
        /// Memory of the task in MiB as a string.
        "memory" memory: Option<String>,
        /// Tags of the revision.
        "tags" tags: Vec<Tag>,
        /// The process namespace: `task` or `host`.
        "pidMode" pid_mode: Option<String>,
        /// The IPC namespace: `task`, `host` or `none`.
        "ipcMode" ipc_mode: Option<String>,
        /// App Mesh's proxy.
        "proxyConfiguration" proxy_configuration: Option<ProxyConfiguration>,
        /// Elastic Inference accelerators; not on Fargate.
        "inferenceAccelerators" inference_accelerators: Vec<InferenceAccelerator>,
        /// The ephemeral storage of the task.
        "ephemeralStorage" ephemeral_storage: Option<EphemeralStorage>,
        /// The CPU architecture and operating system.
        "runtimePlatform" runtime_platform: Option<RuntimePlatform>,
        /// Whether containers may inject faults.
        "enableFaultInjection" enable_fault_injection: Option<bool>,
        /// The isolation of the task; Managed Instances only.
        "trustedExecutionConfiguration" trusted_execution_configuration: Option<TrustedExecution>,
    }
    /// A placement constraint.
    PlacementConstraint {
        /// `memberOf` is the only one.
        "type" kind: Option<String>,
        /// The expression in the cluster query language.
        "expression" expression: Option<String>,
    }
    /// A tag of the revision.
    Tag {
        /// The key, up to 128 characters.
        "key" key: String,
        /// The value, up to 256 characters.
        "value" value: String,
    }
    /// App Mesh's proxy.
    ProxyConfiguration {
        /// `APPMESH` is the only one.
        "type" kind: Option<String>,
        /// The container that is the proxy.
        "containerName" container_name: String,
        /// Settings of the proxy.
        "properties" properties: Vec<KeyValue>,
    }
    /// An Elastic Inference accelerator.
    InferenceAccelerator {
        /// The name containers refer to.
        "deviceName" device_name: String,
        /// The kind of accelerator.
        "deviceType" device_type: String,
    }
    /// The ephemeral storage of the task.
    EphemeralStorage {
        /// GiB, 21 to 200.
        "sizeInGiB" size_in_gib: u32,
    }
    /// The CPU architecture and operating system.
    RuntimePlatform {
        /// `X86_64` or `ARM64`.
        "cpuArchitecture" cpu_architecture: Option<String>,
        /// `LINUX` or one of the Windows families.
        "operatingSystemFamily" operating_system_family: Option<String>,
    }
    /// The isolation of a task.
    TrustedExecution {
        /// `SHARED`, `ISOLATED_SANDBOX` or `CONFIDENTIAL_SANDBOX`.
        "isolationMode" isolation_mode: String,
        /// The attestation policy of the sandbox.
        "attestationPolicy" attestation_policy: Option<String>,
    }
}

impl TaskDefinition {
    /// Formats the definition as pretty-printed JSON with a trailing newline. The output is deterministic.
    pub fn to_json(&self) -> String {
        // Serialization of strings, numbers, lists and maps with string keys cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Returns the container with this name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.container_definitions
            .iter()
            .find(|container| container.name == name)
    }

    /// Returns whether the definition is compatible with Fargate.
    pub fn is_fargate(&self) -> bool {
        self.requires_compatibilities
            .iter()
            .any(|compatibility| compatibility == "FARGATE")
    }

    /// Returns whether the definition is for a Windows platform.
    pub fn is_windows(&self) -> bool {
        self.runtime_platform
            .as_ref()
            .and_then(|platform| platform.operating_system_family.as_deref())
            .is_some_and(|family| family.starts_with("WINDOWS"))
    }
}
