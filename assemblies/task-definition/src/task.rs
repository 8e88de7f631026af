//! The task definition itself: the input of RegisterTaskDefinition, field by field.

use crate::container::{ContainerDefinition, KeyValue};
use crate::record::records;
use crate::volume::Volume;

records! {
    /// The input of RegisterTaskDefinition.
    ///
    /// Numbers of the task are text (`"256"`), numbers of a container are numbers: that is the API's way.
    TaskDefinition {
        /// The name under which revisions are counted.
        "family" family: String,
        /// The role whose rights the containers have.
        "taskRoleArn" task_role_arn: Option<String>,
        /// The role with which ECS itself pulls images, reads secrets and writes logs.
        "executionRoleArn" execution_role_arn: Option<String>,
        /// `awsvpc` on Fargate; `bridge`, `host` or `none` elsewhere.
        "networkMode" network_mode: Option<String>,
        /// The containers, at most ten.
        "containerDefinitions" container_definitions: Vec<ContainerDefinition>,
        /// The volumes that containers can mount.
        "volumes" volumes: Vec<Volume>,
        /// Where tasks may be placed; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// What the definition is meant to run on: `FARGATE`, `EC2`, `EXTERNAL`, `MANAGED_INSTANCES`.
        "requiresCompatibilities" requires_compatibilities: Vec<String>,
        /// CPU units of the task as text: `"256"` is a quarter of a vCPU.
        "cpu" cpu: Option<String>,
        /// Memory of the task in MiB as text.
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
        /// The size of the task's own disk.
        "ephemeralStorage" ephemeral_storage: Option<EphemeralStorage>,
        /// The machine type.
        "runtimePlatform" runtime_platform: Option<RuntimePlatform>,
        /// Whether containers may ask for faults to be injected.
        "enableFaultInjection" enable_fault_injection: Option<bool>,
        /// How the task is set apart from others; Managed Instances only.
        "trustedExecutionConfiguration" trusted_execution_configuration: Option<TrustedExecution>,
    }
    /// A rule about where a task may be placed.
    PlacementConstraint {
        /// `memberOf` is the only one.
        "type" kind: Option<String>,
        /// The rule in the cluster query language.
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
    /// The size of the task's own disk.
    EphemeralStorage {
        /// GiB, 21 to 200.
        "sizeInGiB" size_in_gib: u32,
    }
    /// The machine type.
    RuntimePlatform {
        /// `X86_64` or `ARM64`.
        "cpuArchitecture" cpu_architecture: Option<String>,
        /// `LINUX` or one of the Windows families.
        "operatingSystemFamily" operating_system_family: Option<String>,
    }
    /// How the task is set apart from others.
    TrustedExecution {
        /// `SHARED`, `ISOLATED_SANDBOX` or `CONFIDENTIAL_SANDBOX`.
        "isolationMode" isolation_mode: String,
        /// The policy by which the sandbox proves itself.
        "attestationPolicy" attestation_policy: Option<String>,
    }
}

impl TaskDefinition {
    /// The definition as pretty JSON with a newline at the end, the same bytes every time.
    pub fn to_json(&self) -> String {
        // Strings, numbers, lists and maps with string keys always serialise; there is no error to lose.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The container of that name.
    pub fn container(&self, name: &str) -> Option<&ContainerDefinition> {
        self.container_definitions
            .iter()
            .find(|container| container.name == name)
    }

    /// Whether the definition is meant for Fargate.
    pub fn is_fargate(&self) -> bool {
        self.requires_compatibilities
            .iter()
            .any(|one| one == "FARGATE")
    }

    /// Whether the definition is for a Windows platform.
    pub fn is_windows(&self) -> bool {
        self.runtime_platform
            .as_ref()
            .and_then(|platform| platform.operating_system_family.as_deref())
            .is_some_and(|family| family.starts_with("WINDOWS"))
    }
}
