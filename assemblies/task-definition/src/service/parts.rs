//! The smaller records a service is made of.

use serde_json::Value;

use crate::record::{Required, records};
use crate::task::Tag;

records! {
    /// How a new definition replaces the old one.
    DeploymentConfiguration {
        /// Whether a deployment that fails is ended.
        "deploymentCircuitBreaker" deployment_circuit_breaker: Option<CircuitBreaker>,
        /// The most tasks that may run during a deployment, in percent of the wanted number.
        "maximumPercent" maximum_percent: Option<u32>,
        /// The fewest healthy tasks during a deployment, in percent of the wanted number.
        "minimumHealthyPercent" minimum_healthy_percent: Option<u32>,
        /// Alarms that end a deployment.
        "alarms" alarms: Option<DeploymentAlarms>,
        /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
        "strategy" strategy: Option<String>,
        /// Minutes for which both versions stay after the traffic has moved.
        "bakeTimeInMinutes" bake_time_in_minutes: Option<u32>,
        /// Functions that are called on the way.
        "lifecycleHooks" lifecycle_hooks: Vec<LifecycleHook>,
        /// How LINEAR moves the traffic.
        "linearConfiguration" linear_configuration: Option<LinearShift>,
        /// How CANARY moves the traffic.
        "canaryConfiguration" canary_configuration: Option<CanaryShift>,
        /// When a deployment counts as done before all tasks are there.
        "earlySuccessCriteria" early_success_criteria: Option<EarlySuccess>,
    }
    /// Whether a deployment that fails is ended.
    CircuitBreaker {
        /// Whether it is.
        "enable" enable: bool,
        /// Whether the last good version comes back.
        "rollback" rollback: bool,
        /// Whether a healthy task starts the count of failures again.
        "resetOnHealthyTask" reset_on_healthy_task: Option<bool>,
        /// How many failures it takes.
        "thresholdConfiguration" threshold_configuration: Option<FailureThreshold>,
    }
    /// How many failed tasks end a deployment.
    FailureThreshold {
        /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT`.
        "type" kind: String,
        /// The number or the percentage.
        "value" value: u32,
    }
    /// Alarms that end a deployment.
    DeploymentAlarms {
        /// Their names.
        "alarmNames" alarm_names: Required<Vec<String>>,
        /// Whether the last good version comes back.
        "rollback" rollback: bool,
        /// Whether they count at all.
        "enable" enable: bool,
    }
    /// A function that is called on the way of a deployment.
    LifecycleHook {
        /// `AWS_LAMBDA` or `PAUSE`.
        "targetType" target_type: Option<String>,
        /// The function.
        "hookTargetArn" hook_target_arn: Option<String>,
        /// The role with which it is called.
        "roleArn" role_arn: Option<String>,
        /// At which stages.
        "lifecycleStages" lifecycle_stages: Vec<String>,
        /// What the function is told.
        "hookDetails" hook_details: Option<Value>,
        /// How long it may take.
        "timeoutConfiguration" timeout_configuration: Option<HookTimeout>,
    }
    /// How long a lifecycle hook may take.
    HookTimeout {
        /// Minutes.
        "timeoutInMinutes" timeout_in_minutes: Option<u32>,
        /// What happens then: `ROLLBACK` or `CONTINUE`.
        "action" action: Option<String>,
    }
    /// Traffic that moves in equal steps.
    LinearShift {
        /// The part that moves at once.
        "stepPercent" step_percent: Option<f64>,
        /// Minutes between two steps.
        "stepBakeTimeInMinutes" step_bake_time_in_minutes: Option<u32>,
    }
    /// Traffic of which a small part moves first.
    CanaryShift {
        /// The part that moves first.
        "canaryPercent" canary_percent: Option<f64>,
        /// Minutes until the rest follows.
        "canaryBakeTimeInMinutes" canary_bake_time_in_minutes: Option<u32>,
    }
    /// When a deployment counts as done before all tasks are there.
    EarlySuccess {
        /// Whether it does.
        "enable" enable: bool,
        /// The part of the tasks that must be healthy.
        "healthyPercent" healthy_percent: Option<u32>,
        /// Whether the old version is taken away before or after: `BLOCKING` or `DEFERRED`.
        "sourceServiceRevisionCleanup" source_service_revision_cleanup: Option<String>,
    }
    /// A port that other services may find.
    ServiceConnectService {
        /// The port's name in the task definition.
        "portName" port_name: String,
        /// The name in Cloud Map; the port's name when left out.
        "discoveryName" discovery_name: Option<String>,
        /// The name and port under which clients call it; one at most.
        "clientAliases" client_aliases: Vec<ClientAlias>,
        /// The port on which the proxy listens.
        "ingressPortOverride" ingress_port_override: Option<u32>,
        /// How long requests may take.
        "timeout" timeout: Option<ServiceConnectTimeout>,
        /// How the traffic is encrypted.
        "tls" tls: Option<ServiceConnectTls>,
    }
    /// The name and port under which clients call a service.
    ClientAlias {
        /// The port.
        "port" port: u32,
        /// The name; up to 127 characters.
        "dnsName" dns_name: Option<String>,
        /// Which requests are tests of a new version.
        "testTrafficRules" test_traffic_rules: Option<TestTraffic>,
    }
    /// Which requests are tests of a new version.
    TestTraffic {
        /// The header that marks them.
        "header" header: TestHeader,
    }
    /// The header that marks a test request.
    TestHeader {
        /// Its name.
        "name" name: String,
        /// Its value.
        "value" value: Option<TestHeaderValue>,
    }
    /// The value of the header that marks a test request.
    TestHeaderValue {
        /// Exactly this.
        "exact" exact: String,
    }
    /// How long requests may take.
    ServiceConnectTimeout {
        /// Seconds for which a connection may be silent.
        "idleTimeoutSeconds" idle_timeout_seconds: Option<u32>,
        /// Seconds for one request.
        "perRequestTimeoutSeconds" per_request_timeout_seconds: Option<u32>,
    }
    /// How the traffic of Service Connect is encrypted.
    ServiceConnectTls {
        /// Who signs the certificates.
        "issuerCertificateAuthority" issuer_certificate_authority: CertificateAuthority,
        /// The key that protects the private keys.
        "kmsKey" kms_key: Option<String>,
        /// The role with which ECS gets the certificates.
        "roleArn" role_arn: Option<String>,
    }
    /// Who signs certificates.
    CertificateAuthority {
        /// AWS Private CA.
        "awsPcaAuthorityArn" aws_pca_authority_arn: Option<String>,
    }
    /// How Service Connect's proxy writes down requests.
    AccessLog {
        /// `TEXT` or `JSON`.
        "format" format: String,
        /// Whether with the query: `ENABLED` or `DISABLED`.
        "includeQueryParameters" include_query_parameters: Option<String>,
    }
    /// How much Service Connect's proxy says.
    ProxyLogLevel {
        /// `debug` or `info`.
        "logLevel" log_level: Option<String>,
    }
    /// The EBS volume that is made for each task of a service.
    ManagedEbsVolume {
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
        /// `xfs`, `ext3`, `ext4` or `ntfs`.
        "filesystemType" filesystem_type: Option<String>,
    }
    /// Tags of something that is made for a task.
    TagSpecification {
        /// `volume` is the only one.
        "resourceType" resource_type: String,
        /// The tags.
        "tags" tags: Vec<Tag>,
        /// Whose tags it gets as well.
        "propagateTags" propagate_tags: Option<String>,
    }
    /// A target group of VPC Lattice.
    VpcLattice {
        /// The role with which ECS registers tasks.
        "roleArn" role_arn: String,
        /// The target group.
        "targetGroupArn" target_group_arn: String,
        /// The port's name in the task definition.
        "portName" port_name: String,
        /// What a deployment that shifts traffic needs.
        "advancedConfiguration" advanced_configuration: Option<LatticeTrafficShift>,
    }
    /// What VPC Lattice needs so that a deployment can shift traffic.
    LatticeTrafficShift {
        /// The second target group.
        "alternateTargetGroupArn" alternate_target_group_arn: Option<String>,
        /// The listener's rule for the users.
        "productionListenerRule" production_listener_rule: Option<String>,
        /// The listener's rule for tests.
        "testListenerRule" test_listener_rule: Option<String>,
    }
    /// A port that a gateway connects to.
    GatewayConnector {
        /// The port's name in the task definition.
        "portName" port_name: String,
        /// How the gateway asks whether a task is well.
        "healthCheck" health_check: Option<GatewayHealthCheck>,
        /// Who may come in.
        "filters" filters: Option<GatewayFilters>,
        /// How a task is taken away.
        "deregistrationDelay" deregistration_delay: Option<DeregistrationDelay>,
    }
    /// How a gateway asks whether a task is well.
    GatewayHealthCheck {
        /// `HTTP` or `HTTPS`.
        "healthCheckProtocol" health_check_protocol: Option<String>,
        /// The port that is asked.
        "healthCheckPort" health_check_port: Option<u32>,
        /// The path that is asked.
        "healthCheckPath" health_check_path: Option<String>,
        /// Seconds one check may take.
        "healthCheckTimeoutSeconds" health_check_timeout_seconds: Option<u32>,
        /// Seconds between two checks.
        "healthCheckIntervalSeconds" health_check_interval_seconds: Option<u32>,
        /// Successes in a row that make it healthy.
        "healthyThresholdCount" healthy_threshold_count: Option<u32>,
        /// Failures in a row that make it unhealthy.
        "unhealthyThresholdCount" unhealthy_threshold_count: Option<u32>,
        /// Which answers are successes.
        "matcher" matcher: Option<GatewayMatcher>,
    }
    /// Which answers are successes.
    GatewayMatcher {
        /// Status codes of HTTP.
        "httpCode" http_code: Option<String>,
        /// Status codes of gRPC.
        "grpcCode" grpc_code: Option<String>,
    }
    /// Who may come in through a gateway.
    GatewayFilters {
        /// `PUBLIC`, `PRIVATE`.
        "accessTypes" access_types: Vec<String>,
    }
    /// How a task is taken away from a gateway.
    DeregistrationDelay {
        /// Seconds for which open requests may go on.
        "timeoutSeconds" timeout_seconds: Option<u32>,
    }
    /// What is measured, and how often.
    Monitoring {
        /// Metrics and their resolutions.
        "metricConfigurations" metric_configurations: Vec<MetricConfiguration>,
    }
    /// Metrics and their resolution.
    MetricConfiguration {
        /// The metrics.
        "metricNames" metric_names: Required<Vec<String>>,
        /// Seconds between two values.
        "resolutionSeconds" resolution_seconds: u32,
    }
}
