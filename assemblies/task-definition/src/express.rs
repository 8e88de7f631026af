//! Services of ECS Express Mode: the input of CreateExpressGatewayService, field by field.
//!
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateExpressGatewayService.html>

use crate::container::{KeyValue, RepositoryCredentials, Secret};
use crate::record::records;
use crate::task::Tag;

records! {
    /// A service of Express Mode.
    ExpressService {
        /// The ARN of the service, in the input of UpdateExpressGatewayService.
        "serviceArn" service_arn: Option<String>,
        /// The role with which ECS pulls the image.
        "executionRoleArn" execution_role_arn: Option<String>,
        /// The role with which ECS makes the load balancer.
        "infrastructureRoleArn" infrastructure_role_arn: Option<String>,
        /// The name; ECS generates one if it is absent.
        "serviceName" service_name: Option<String>,
        /// The cluster.
        "cluster" cluster: Option<String>,
        /// The path of the load balancer's health check, `/ping` by default.
        "healthCheckPath" health_check_path: Option<String>,
        /// The container, unless there is a task definition.
        "primaryContainer" primary_container: Option<ExpressContainer>,
        /// The role of the container.
        "taskRoleArn" task_role_arn: Option<String>,
        /// Subnets and security groups.
        "networkConfiguration" network_configuration: Option<ExpressNetwork>,
        /// CPU units, 256 by default.
        "cpu" cpu: Option<String>,
        /// MiB of memory, 512 by default.
        "memory" memory: Option<String>,
        /// `X86_64` (default) or `ARM64`.
        "cpuArchitecture" cpu_architecture: Option<String>,
        /// The limits and the metric of the scaling.
        "scalingTarget" scaling_target: Option<ExpressScaling>,
        /// The tags.
        "tags" tags: Vec<Tag>,
        /// A task definition with a container `Main`, since 2026-07.
        "taskDefinitionArn" task_definition_arn: Option<String>,
    }
    /// The container of a service of Express Mode.
    ExpressContainer {
        /// The image.
        "image" image: String,
        /// The port, 80 by default.
        "containerPort" container_port: Option<u32>,
        /// Where the output goes.
        "awsLogsConfiguration" aws_logs_configuration: Option<ExpressLogs>,
        /// The login for the registry.
        "repositoryCredentials" repository_credentials: Option<RepositoryCredentials>,
        /// The command.
        "command" command: Vec<String>,
        /// Environment variables.
        "environment" environment: Vec<KeyValue>,
        /// Secrets in environment variables.
        "secrets" secrets: Vec<Secret>,
    }
    /// The log group of a container.
    ExpressLogs {
        /// The log group.
        "logGroup" log_group: String,
        /// The prefix of the log streams.
        "logStreamPrefix" log_stream_prefix: String,
    }
    /// The network of a service of Express Mode.
    ExpressNetwork {
        /// Security groups.
        "securityGroups" security_groups: Vec<String>,
        /// Subnets.
        "subnets" subnets: Vec<String>,
    }
    /// The scaling of a service of Express Mode.
    ExpressScaling {
        /// The least number of tasks.
        "minTaskCount" min_task_count: Option<u32>,
        /// The largest number of tasks.
        "maxTaskCount" max_task_count: Option<u32>,
        /// `AVERAGE_CPU`, `AVERAGE_MEMORY` or `REQUEST_COUNT_PER_TARGET`.
        "autoScalingMetric" auto_scaling_metric: Option<String>,
        /// The value to keep the metric at, 60 by default.
        "autoScalingTargetValue" auto_scaling_target_value: Option<u32>,
    }
}
