//! RunTask requests, field by field.

use crate::container::{EnvironmentFile, KeyValue, ResourceRequirement};
use crate::record::records;
use crate::service::{
    CapacityProviderItem, NetworkConfiguration, PlacementStrategy, TagSpecification,
};
use crate::task::{EphemeralStorage, PlacementConstraint, Tag};

records! {
    /// The input of RunTask.
    RunTask {
        /// The capacity provider strategy, in place of a launch type.
        "capacityProviderStrategy" capacity_provider_strategy: Vec<CapacityProviderItem>,
        /// The name or ARN of the cluster; defaults to `default`.
        "cluster" cluster: Option<String>,
        /// The number of tasks, at most ten.
        "count" count: Option<u32>,
        /// Whether ECS adds managed tags to the tasks.
        "enableECSManagedTags" enable_ecs_managed_tags: Option<bool>,
        /// Whether ECS Exec is enabled.
        "enableExecuteCommand" enable_execute_command: Option<bool>,
        /// The task group.
        "group" group: Option<String>,
        /// `EC2`, `FARGATE`, `EXTERNAL` or `MANAGED_INSTANCES`.
        "launchType" launch_type: Option<String>,
        /// The network of the tasks.
        "networkConfiguration" network_configuration: Option<NetworkConfiguration>,
        /// Overrides of the task definition.
        "overrides" overrides: Option<TaskOverride>,
        /// Placement constraints; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// Placement strategies; not on Fargate.
        "placementStrategy" placement_strategy: Vec<PlacementStrategy>,
        /// The platform version of Fargate.
        "platformVersion" platform_version: Option<String>,
        /// The source of the tasks' tags: `TASK_DEFINITION` or `NONE`.
        "propagateTags" propagate_tags: Option<String>,
        /// The caller's reference for the request.
        "referenceId" reference_id: Option<String>,
        /// The caller's tag for the tasks; up to 128 characters.
        "startedBy" started_by: Option<String>,
        /// Tags of the tasks.
        "tags" tags: Vec<Tag>,
        /// Family, `family:revision` or ARN of the task definition.
        "taskDefinition" task_definition: String,
        /// The idempotency token; up to 64 characters.
        "clientToken" client_token: Option<String>,
        /// The volumes that are configured at launch.
        "volumeConfigurations" volume_configurations: Vec<TaskVolumeConfiguration>,
    }
    /// Overrides of the task definition.
    TaskOverride {
        /// Overrides of containers.
        "containerOverrides" container_overrides: Vec<ContainerOverride>,
        /// CPU units of the task as a string.
        "cpu" cpu: Option<String>,
        /// The Elastic Inference accelerators.
        "inferenceAcceleratorOverrides" inference_accelerator_overrides: Vec<InferenceAcceleratorOverride>,
        /// The execution role.
        "executionRoleArn" execution_role_arn: Option<String>,
        /// Memory of the task in MiB as a string.
        "memory" memory: Option<String>,
        /// The task role.
        "taskRoleArn" task_role_arn: Option<String>,
        /// The ephemeral storage.
        "ephemeralStorage" ephemeral_storage: Option<EphemeralStorage>,
    }
    /// Overrides of a container.
    ContainerOverride {
        /// The container's name in the task definition.
        "name" name: Option<String>,
        /// The command.
        "command" command: Vec<String>,
        /// Environment variables to add or replace.
        "environment" environment: Vec<KeyValue>,
        /// Environment files in S3.
        "environmentFiles" environment_files: Vec<EnvironmentFile>,
        /// CPU units.
        "cpu" cpu: Option<u32>,
        /// The hard memory limit in MiB.
        "memory" memory: Option<u32>,
        /// The reserved memory in MiB.
        "memoryReservation" memory_reservation: Option<u32>,
        /// GPUs and other accelerators.
        "resourceRequirements" resource_requirements: Vec<ResourceRequirement>,
    }
    /// An Elastic Inference accelerator.
    InferenceAcceleratorOverride {
        /// The name containers refer to.
        "deviceName" device_name: Option<String>,
        /// The kind of accelerator.
        "deviceType" device_type: Option<String>,
    }
    /// A volume of a standalone task that is configured at launch.
    TaskVolumeConfiguration {
        /// The volume's name in the task definition.
        "name" name: String,
        /// The EBS volume that is created for the task.
        "managedEBSVolume" managed_ebs_volume: Option<TaskEbsVolume>,
    }
    /// The EBS volume that is created for a standalone task.
    TaskEbsVolume {
        /// Whether it is encrypted.
        "encrypted" encrypted: Option<bool>,
        /// The KMS key.
        "kmsKeyId" kms_key_id: Option<String>,
        /// `gp3`, `io2` …
        "volumeType" volume_type: Option<String>,
        /// GiB.
        "sizeInGiB" size_in_gib: Option<u32>,
        /// The snapshot from which it is created.
        "snapshotId" snapshot_id: Option<String>,
        /// The read rate of the snapshot in MiB per second.
        "volumeInitializationRate" volume_initialization_rate: Option<u32>,
        /// I/O operations per second.
        "iops" iops: Option<u32>,
        /// The throughput in MiB per second.
        "throughput" throughput: Option<u32>,
        /// Tags of the volume.
        "tagSpecifications" tag_specifications: Vec<TagSpecification>,
        /// The role with which ECS creates it.
        "roleArn" role_arn: String,
        /// The termination policy.
        "terminationPolicy" termination_policy: Option<TerminationPolicy>,
        /// `xfs`, `ext3`, `ext4` or `ntfs`.
        "filesystemType" filesystem_type: Option<String>,
    }
    /// The termination policy of a volume.
    TerminationPolicy {
        /// Whether the volume is deleted with its task.
        "deleteOnTermination" delete_on_termination: bool,
    }
}
