//! A request to run tasks: the input of RunTask, field by field.

use crate::container::{EnvironmentFile, KeyValue, ResourceRequirement};
use crate::record::records;
use crate::service::{
    CapacityProviderItem, NetworkConfiguration, PlacementStrategy, TagSpecification,
};
use crate::task::{EphemeralStorage, PlacementConstraint, Tag};

records! {
    /// The input of RunTask.
    RunTask {
        /// What the tasks run on, in place of a launch type.
        "capacityProviderStrategy" capacity_provider_strategy: Vec<CapacityProviderItem>,
        /// The cluster's name or ARN; `default` when left out.
        "cluster" cluster: Option<String>,
        /// How many tasks, at most ten.
        "count" count: Option<u32>,
        /// Whether ECS adds tags of its own to the tasks.
        "enableECSManagedTags" enable_ecs_managed_tags: Option<bool>,
        /// Whether commands can be run in the containers.
        "enableExecuteCommand" enable_execute_command: Option<bool>,
        /// The name under which the tasks are counted together.
        "group" group: Option<String>,
        /// `EC2`, `FARGATE`, `EXTERNAL` or `MANAGED_INSTANCES`.
        "launchType" launch_type: Option<String>,
        /// The network of the tasks.
        "networkConfiguration" network_configuration: Option<NetworkConfiguration>,
        /// What differs from the task definition.
        "overrides" overrides: Option<TaskOverride>,
        /// Where tasks may be placed; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// How tasks are spread; not on Fargate.
        "placementStrategy" placement_strategy: Vec<PlacementStrategy>,
        /// The version of Fargate's platform.
        "platformVersion" platform_version: Option<String>,
        /// Whose tags the tasks get: `TASK_DEFINITION` or `NONE`.
        "propagateTags" propagate_tags: Option<String>,
        /// A name of the caller's for the request.
        "referenceId" reference_id: Option<String>,
        /// Who started it; up to 128 characters.
        "startedBy" started_by: Option<String>,
        /// Tags of the tasks.
        "tags" tags: Vec<Tag>,
        /// Family, `family:revision` or ARN of the task definition.
        "taskDefinition" task_definition: String,
        /// Makes a repeated call the same call; up to 64 characters.
        "clientToken" client_token: Option<String>,
        /// The volumes that are configured at launch.
        "volumeConfigurations" volume_configurations: Vec<TaskVolumeConfiguration>,
    }
    /// What differs from the task definition.
    TaskOverride {
        /// What differs in containers.
        "containerOverrides" container_overrides: Vec<ContainerOverride>,
        /// CPU units of the task as text.
        "cpu" cpu: Option<String>,
        /// Other Elastic Inference accelerators.
        "inferenceAcceleratorOverrides" inference_accelerator_overrides: Vec<InferenceAcceleratorOverride>,
        /// Another execution role.
        "executionRoleArn" execution_role_arn: Option<String>,
        /// Memory of the task in MiB as text.
        "memory" memory: Option<String>,
        /// Another task role.
        "taskRoleArn" task_role_arn: Option<String>,
        /// Another size of the task's own disk.
        "ephemeralStorage" ephemeral_storage: Option<EphemeralStorage>,
    }
    /// What differs in a container.
    ContainerOverride {
        /// The container's name in the task definition.
        "name" name: Option<String>,
        /// Another command.
        "command" command: Vec<String>,
        /// Environment variables that are added or replaced.
        "environment" environment: Vec<KeyValue>,
        /// Files of environment variables in S3.
        "environmentFiles" environment_files: Vec<EnvironmentFile>,
        /// Other CPU units.
        "cpu" cpu: Option<u32>,
        /// Another hard limit in MiB.
        "memory" memory: Option<u32>,
        /// Another amount of memory set aside in MiB.
        "memoryReservation" memory_reservation: Option<u32>,
        /// GPUs and the like.
        "resourceRequirements" resource_requirements: Vec<ResourceRequirement>,
    }
    /// Another Elastic Inference accelerator.
    InferenceAcceleratorOverride {
        /// The name containers refer to.
        "deviceName" device_name: Option<String>,
        /// The kind of accelerator.
        "deviceType" device_type: Option<String>,
    }
    /// A volume that is configured at launch, of a task without a service.
    TaskVolumeConfiguration {
        /// The volume's name in the task definition.
        "name" name: String,
        /// The EBS volume that is made for the task.
        "managedEBSVolume" managed_ebs_volume: Option<TaskEbsVolume>,
    }
    /// The EBS volume that is made for a task without a service.
    TaskEbsVolume {
        /// Whether it is encrypted.
        "encrypted" encrypted: Option<bool>,
        /// With which key.
        "kmsKeyId" kms_key_id: Option<String>,
        /// `gp3`, `io2` …
        "volumeType" volume_type: Option<String>,
        /// GiB.
        "sizeInGiB" size_in_gib: Option<u32>,
        /// The snapshot it is made from.
        "snapshotId" snapshot_id: Option<String>,
        /// MiB per second at which the snapshot is read.
        "volumeInitializationRate" volume_initialization_rate: Option<u32>,
        /// Operations per second.
        "iops" iops: Option<u32>,
        /// MiB per second.
        "throughput" throughput: Option<u32>,
        /// Tags of the volume.
        "tagSpecifications" tag_specifications: Vec<TagSpecification>,
        /// The role with which ECS makes it.
        "roleArn" role_arn: String,
        /// Whether it goes with the task.
        "terminationPolicy" termination_policy: Option<TerminationPolicy>,
        /// `xfs`, `ext3`, `ext4` or `ntfs`.
        "filesystemType" filesystem_type: Option<String>,
    }
    /// Whether a volume goes with its task.
    TerminationPolicy {
        /// Whether it does.
        "deleteOnTermination" delete_on_termination: bool,
    }
}
