//! A service: the input of CreateService, field by field.

use crate::container::LogConfiguration;
use crate::record::{Required, records};
use crate::task::{PlacementConstraint, Tag};

mod parts;
pub use parts::*;

records! {
    /// The input of CreateService.
    Service {
        /// The cluster's name or ARN; `default` when left out.
        "cluster" cluster: Option<String>,
        /// The name, unique in the cluster.
        "serviceName" service_name: String,
        /// Family, `family:revision` or ARN of the task definition.
        "taskDefinition" task_definition: Option<String>,
        /// Whether tasks are moved to spread them over the zones: `ENABLED` or `DISABLED`.
        "availabilityZoneRebalancing" availability_zone_rebalancing: Option<String>,
        /// Load balancers and the container each of them leads to.
        "loadBalancers" load_balancers: Vec<LoadBalancer>,
        /// Entries of Cloud Map.
        "serviceRegistries" service_registries: Vec<ServiceRegistry>,
        /// How many tasks are to run.
        "desiredCount" desired_count: Option<u32>,
        /// Makes a repeated call the same call.
        "clientToken" client_token: Option<String>,
        /// `EC2`, `FARGATE`, `EXTERNAL` or `MANAGED_INSTANCES`.
        "launchType" launch_type: Option<String>,
        /// What the tasks run on, in place of a launch type.
        "capacityProviderStrategy" capacity_provider_strategy: Vec<CapacityProviderItem>,
        /// The version of Fargate's platform.
        "platformVersion" platform_version: Option<String>,
        /// The role with which ECS speaks to a load balancer; not with awsvpc.
        "role" role: Option<String>,
        /// How a new definition replaces the old one.
        "deploymentConfiguration" deployment_configuration: Option<DeploymentConfiguration>,
        /// Where tasks may be placed; not on Fargate.
        "placementConstraints" placement_constraints: Vec<PlacementConstraint>,
        /// How tasks are spread; not on Fargate.
        "placementStrategy" placement_strategy: Vec<PlacementStrategy>,
        /// The network of the tasks.
        "networkConfiguration" network_configuration: Option<NetworkConfiguration>,
        /// Seconds in which the load balancer's verdict on a new task does not count.
        "healthCheckGracePeriodSeconds" health_check_grace_period_seconds: Option<u32>,
        /// `REPLICA` or `DAEMON`.
        "schedulingStrategy" scheduling_strategy: Option<String>,
        /// Who deploys.
        "deploymentController" deployment_controller: Option<DeploymentController>,
        /// Tags of the service.
        "tags" tags: Vec<Tag>,
        /// Whether ECS adds tags of its own to the tasks.
        "enableECSManagedTags" enable_ecs_managed_tags: Option<bool>,
        /// Whose tags the tasks get: `TASK_DEFINITION`, `SERVICE` or `NONE`.
        "propagateTags" propagate_tags: Option<String>,
        /// Whether commands can be run in the containers.
        "enableExecuteCommand" enable_execute_command: Option<bool>,
        /// How the service finds others and is found.
        "serviceConnectConfiguration" service_connect_configuration: Option<ServiceConnect>,
        /// The volumes that are configured at launch.
        "volumeConfigurations" volume_configurations: Vec<VolumeConfiguration>,
        /// Target groups of VPC Lattice.
        "vpcLatticeConfigurations" vpc_lattice_configurations: Vec<VpcLattice>,
        /// Ports that a gateway connects to.
        "gatewayConnectors" gateway_connectors: Vec<GatewayConnector>,
        /// What is measured, and how often.
        "monitoring" monitoring: Option<Monitoring>,
    }
    /// A load balancer and the container it leads to.
    LoadBalancer {
        /// The target group.
        "targetGroupArn" target_group_arn: Option<String>,
        /// A classic load balancer; not with awsvpc.
        "loadBalancerName" load_balancer_name: Option<String>,
        /// The container.
        "containerName" container_name: Option<String>,
        /// The container's port.
        "containerPort" container_port: Option<u32>,
        /// What a deployment that shifts traffic needs.
        "advancedConfiguration" advanced_configuration: Option<TrafficShift>,
    }
    /// What a load balancer needs so that a deployment can shift traffic.
    TrafficShift {
        /// The second target group.
        "alternateTargetGroupArn" alternate_target_group_arn: Option<String>,
        /// The listener's rule for the users.
        "productionListenerRule" production_listener_rule: Option<String>,
        /// The listener's rule for tests.
        "testListenerRule" test_listener_rule: Option<String>,
        /// The role with which ECS changes the rules.
        "roleArn" role_arn: Option<String>,
    }
    /// An entry of Cloud Map.
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
    /// A part of a capacity provider strategy.
    CapacityProviderItem {
        /// `FARGATE`, `FARGATE_SPOT` or the name of another.
        "capacityProvider" capacity_provider: String,
        /// Its share of the tasks above the base.
        "weight" weight: Option<u32>,
        /// How many tasks it gets first; one item of a strategy can have it.
        "base" base: Option<u32>,
    }
    /// How tasks are spread over machines.
    PlacementStrategy {
        /// `random`, `spread` or `binpack`.
        "type" kind: Option<String>,
        /// What they are spread over.
        "field" field: Option<String>,
    }
    /// The network of tasks.
    NetworkConfiguration {
        /// What awsvpc needs.
        "awsvpcConfiguration" awsvpc_configuration: Option<AwsvpcConfiguration>,
    }
    /// Subnets and security groups of tasks.
    AwsvpcConfiguration {
        /// 1 to 16 subnets.
        "subnets" subnets: Required<Vec<String>>,
        /// Up to five security groups; the VPC's own when left out.
        "securityGroups" security_groups: Vec<String>,
        /// `ENABLED` or `DISABLED`.
        "assignPublicIp" assign_public_ip: Option<String>,
    }
    /// Who deploys.
    DeploymentController {
        /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
        "type" kind: String,
    }
    /// How a service finds others and is found.
    ServiceConnect {
        /// Whether it is used at all.
        "enabled" enabled: bool,
        /// The Cloud Map namespace.
        "namespace" namespace: Option<String>,
        /// The ports that others may find.
        "services" services: Vec<ServiceConnectService>,
        /// Where the proxy's log goes.
        "logConfiguration" log_configuration: Option<LogConfiguration>,
        /// How the proxy writes down requests.
        "accessLogConfiguration" access_log_configuration: Option<AccessLog>,
        /// Settings of the proxy's containers.
        "containerConfigurations" container_configurations: Vec<ProxyLogLevel>,
    }
    /// A volume that is configured at launch.
    VolumeConfiguration {
        /// The volume's name in the task definition.
        "name" name: String,
        /// The EBS volume that is made for each task.
        "managedEBSVolume" managed_ebs_volume: Option<ManagedEbsVolume>,
    }
}
