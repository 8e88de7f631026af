//! Services: the input of CreateService, field by field.

use crate::container::LogConfiguration;
use crate::record::{Required, records};
use crate::task::{PlacementConstraint, Tag};

mod parts;
pub use parts::*;

records! {
    /// The input of CreateService.
    Service {
        /// The name or ARN of the cluster; defaults to `default`.
        "cluster" cluster: Option<String>,
        /// The name, unique in the cluster.
        "serviceName" service_name: String,
        /// Family, `family:revision` or ARN of the task definition.
        "taskDefinition" task_definition: Option<String>,
        /// Whether ECS rebalances tasks across Availability Zones: `ENABLED` or `DISABLED`.
        "availabilityZoneRebalancing" availability_zone_rebalancing: Option<String>,
        /// Load balancers and their target containers.
        "loadBalancers" load_balancers: Vec<LoadBalancer>,
        /// Cloud Map service registries.
        "serviceRegistries" service_registries: Vec<ServiceRegistry>,
        /// The desired number of tasks.
        "desiredCount" desired_count: Option<u32>,
        /// The idempotency token.
        "clientToken" client_token: Option<String>,
        /// `EC2`, `FARGATE`, `EXTERNAL` or `MANAGED_INSTANCES`.
        "launchType" launch_type: Option<String>,
        /// The capacity provider strategy, in place of a launch type.
        "capacityProviderStrategy" capacity_provider_strategy: Vec<CapacityProviderItem>,
        /// The platform version of Fargate.
        "platformVersion" platform_version: Option<String>,
        /// The role with which ECS calls a load balancer; not with awsvpc.
        "role" role: Option<String>,
        /// The deployment configuration.
        "deploymentConfiguration" deployment_configuration: Option<DeploymentConfiguration>,
        /// Placement constraints; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// Placement strategies; not on Fargate.
        "placementStrategy" placement_strategy: Vec<PlacementStrategy>,
        /// The network of the tasks.
        "networkConfiguration" network_configuration: Option<NetworkConfiguration>,
        /// Seconds after the start of a task in which failed health checks of the load balancer are ignored.
        "healthCheckGracePeriodSeconds" health_check_grace_period_seconds: Option<u32>,
        /// `REPLICA` or `DAEMON`.
        "schedulingStrategy" scheduling_strategy: Option<String>,
        /// The deployment controller.
        "deploymentController" deployment_controller: Option<DeploymentController>,
        /// Tags of the service.
        "tags" tags: Vec<Tag>,
        /// Whether ECS adds managed tags to the tasks.
        "enableECSManagedTags" enable_ecs_managed_tags: Option<bool>,
        /// The source of the tasks' tags: `TASK_DEFINITION`, `SERVICE` or `NONE`.
        "propagateTags" propagate_tags: Option<String>,
        /// Whether ECS Exec is enabled.
        "enableExecuteCommand" enable_execute_command: Option<bool>,
        /// The Service Connect configuration.
        "serviceConnectConfiguration" service_connect_configuration: Option<ServiceConnect>,
        /// The volumes that are configured at launch.
        "volumeConfigurations" volume_configurations: Vec<VolumeConfiguration>,
        /// Target groups of VPC Lattice.
        "vpcLatticeConfigurations" vpc_lattice_configurations: Vec<VpcLattice>,
        /// Ports that gateways connect to.
        "gatewayConnectors" gateway_connectors: Vec<GatewayConnector>,
        /// The metrics and their resolution.
        "monitoring" monitoring: Option<Monitoring>,
    }
    /// A load balancer and its target container.
    LoadBalancer {
        /// The target group.
        "targetGroupArn" target_group_arn: Option<String>,
        /// A classic load balancer; not with awsvpc.
        "loadBalancerName" load_balancer_name: Option<String>,
        /// The container.
        "containerName" container_name: Option<String>,
        /// The container's port.
        "containerPort" container_port: Option<u32>,
        /// Settings for deployments that shift traffic.
        "advancedConfiguration" advanced_configuration: Option<TrafficShift>,
    }
    /// Settings of a load balancer for deployments that shift traffic.
    TrafficShift {
        /// The second target group.
        "alternateTargetGroupArn" alternate_target_group_arn: Option<String>,
        /// The listener rule for production traffic.
        "productionListenerRule" production_listener_rule: Option<String>,
        /// The listener rule for test traffic.
        "testListenerRule" test_listener_rule: Option<String>,
        /// The role with which ECS changes the rules.
        "roleArn" role_arn: Option<String>,
    }
    /// A Cloud Map service registry.
    ServiceRegistry {
        /// The Cloud Map service.
        "registryArn" registry_arn: Option<String>,
        /// The port that is registered.
        "port" port: Option<u32>,
        /// The container that is registered.
        "containerName" container_name: Option<String>,
        /// The container's port.
        "containerPort" container_port: Option<u32>,
    }
    /// An item of a capacity provider strategy.
    CapacityProviderItem {
        /// `FARGATE`, `FARGATE_SPOT` or the name of another provider.
        "capacityProvider" capacity_provider: String,
        /// The relative share of the tasks above the base.
        "weight" weight: Option<u32>,
        /// The minimum number of tasks; one item of a strategy can set it.
        "base" base: Option<u32>,
    }
    /// A placement strategy.
    PlacementStrategy {
        /// `random`, `spread` or `binpack`.
        "type" kind: Option<String>,
        /// The field that the strategy uses.
        "field" field: Option<String>,
    }
    /// The network of tasks.
    NetworkConfiguration {
        /// The configuration for network mode awsvpc.
        "awsvpcConfiguration" awsvpc_configuration: Option<AwsvpcConfiguration>,
    }
    /// Subnets and security groups of tasks.
    AwsvpcConfiguration {
        /// 1 to 16 subnets.
        "subnets" subnets: Required<Vec<String>>,
        /// Up to five security groups; defaults to the default group of the VPC.
        "securityGroups" security_groups: Vec<String>,
        /// `ENABLED` or `DISABLED`.
        "assignPublicIp" assign_public_ip: Option<String>,
    }
    /// A deployment controller.
    DeploymentController {
        /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
        "type" kind: String,
    }
    /// A Service Connect configuration.
    ServiceConnect {
        /// Whether Service Connect is enabled.
        "enabled" enabled: bool,
        /// The Cloud Map namespace.
        "namespace" namespace: Option<String>,
        /// The ports that other services can discover.
        "services" services: Vec<ServiceConnectService>,
        /// The log configuration of the proxy.
        "logConfiguration" log_configuration: Option<LogConfiguration>,
        /// The access log of the proxy.
        "accessLogConfiguration" access_log_configuration: Option<AccessLog>,
        /// Settings of the proxy's containers.
        "containerConfigurations" container_configurations: Vec<ProxyLogLevel>,
    }
    /// A volume that is configured at launch.
    VolumeConfiguration {
        /// The volume's name in the task definition.
        "name" name: String,
        /// The EBS volume that is created for each task.
        "managedEBSVolume" managed_ebs_volume: Option<ManagedEbsVolume>,
    }
}
