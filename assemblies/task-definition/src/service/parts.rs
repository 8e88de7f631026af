//! The records inside a service.

use serde_json::Value;

use crate::record::{Required, records};
use crate::task::Tag;

records! {
    /// A deployment configuration.
    DeploymentConfiguration {
        /// The circuit breaker, which stops a failing deployment.
        "deploymentCircuitBreaker" deployment_circuit_breaker: Option<CircuitBreaker>,
        /// The maximum number of running tasks during a deployment, in percent of the desired count.
        "maximumPercent" maximum_percent: Option<u32>,
        /// The minimum number of healthy tasks during a deployment, in percent of the desired count.
        "minimumHealthyPercent" minimum_healthy_percent: Option<u32>,
        /// Alarms that fail a deployment.
        "alarms" alarms: Option<DeploymentAlarms>,
        /// `ROLLING`, `BLUE_GREEN`, `LINEAR` or `CANARY`.
        "strategy" strategy: Option<String>,
        /// Minutes for which both versions keep running after the traffic has shifted.
        "bakeTimeInMinutes" bake_time_in_minutes: Option<u32>,
        /// Lifecycle hooks.
        "lifecycleHooks" lifecycle_hooks: Vec<LifecycleHook>,
        /// The settings of strategy LINEAR.
        "linearConfiguration" linear_configuration: Option<LinearShift>,
        /// The settings of strategy CANARY.
        "canaryConfiguration" canary_configuration: Option<CanaryShift>,
        /// The criteria for completing a deployment before all tasks run.
        "earlySuccessCriteria" early_success_criteria: Option<EarlySuccess>,
    }
    /// The circuit breaker, which stops a failing deployment.
    CircuitBreaker {
        /// Whether the circuit breaker is enabled.
        "enable" enable: bool,
        /// Whether the last successful version is restored.
        "rollback" rollback: bool,
        /// Whether a healthy task resets the failure count.
        "resetOnHealthyTask" reset_on_healthy_task: Option<bool>,
        /// The failure threshold.
        "thresholdConfiguration" threshold_configuration: Option<FailureThreshold>,
    }
    /// The number of failed tasks that fails a deployment.
    FailureThreshold {
        /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT`.
        "type" kind: String,
        /// The number or the percentage.
        "value" value: u32,
    }
    /// Alarms that fail a deployment.
    DeploymentAlarms {
        /// The names of the alarms.
        "alarmNames" alarm_names: Required<Vec<String>>,
        /// Whether the last successful version is restored.
        "rollback" rollback: bool,
        /// Whether the alarms are enabled.
        "enable" enable: bool,
    }
    /// A lifecycle hook of a deployment.
    LifecycleHook {
        /// `AWS_LAMBDA` or `PAUSE`.
        "targetType" target_type: Option<String>,
        /// The function.
        "hookTargetArn" hook_target_arn: Option<String>,
        /// The role with which ECS calls the function.
        "roleArn" role_arn: Option<String>,
        /// The stages at which it runs.
        "lifecycleStages" lifecycle_stages: Vec<String>,
        /// The input of the function.
        "hookDetails" hook_details: Option<Value>,
        /// The timeout of the hook.
        "timeoutConfiguration" timeout_configuration: Option<HookTimeout>,
    }
    /// The timeout of a lifecycle hook.
    HookTimeout {
        /// Minutes.
        "timeoutInMinutes" timeout_in_minutes: Option<u32>,
        /// The action on timeout: `ROLLBACK` or `CONTINUE`.
        "action" action: Option<String>,
    }
    /// A traffic shift in equal steps.
    LinearShift {
        /// The share that each step shifts, in percent.
        "stepPercent" step_percent: Option<f64>,
        /// Minutes between two steps.
        "stepBakeTimeInMinutes" step_bake_time_in_minutes: Option<u32>,
    }
    /// A traffic shift with a small first step.
    CanaryShift {
        /// The share of the first step, in percent.
        "canaryPercent" canary_percent: Option<f64>,
        /// Minutes before the rest shifts.
        "canaryBakeTimeInMinutes" canary_bake_time_in_minutes: Option<u32>,
    }
    /// The criteria for completing a deployment before all tasks run.
    EarlySuccess {
        /// Whether the criteria are enabled.
        "enable" enable: bool,
        /// The share of tasks that must be healthy, in percent.
        "healthyPercent" healthy_percent: Option<u32>,
        /// Whether the old version is removed before or after completion: `BLOCKING` or `DEFERRED`.
        "sourceServiceRevisionCleanup" source_service_revision_cleanup: Option<String>,
    }
    /// A port that other services can discover.
    ServiceConnectService {
        /// The port's name in the task definition.
        "portName" port_name: String,
        /// The name in Cloud Map; defaults to the port name.
        "discoveryName" discovery_name: Option<String>,
        /// The name and port that clients use; at most one.
        "clientAliases" client_aliases: Vec<ClientAlias>,
        /// The port on which the proxy listens.
        "ingressPortOverride" ingress_port_override: Option<u32>,
        /// The request timeouts.
        "timeout" timeout: Option<ServiceConnectTimeout>,
        /// The TLS settings.
        "tls" tls: Option<ServiceConnectTls>,
    }
    /// The name and port that clients use for a service.
    ClientAlias {
        /// The port.
        "port" port: u32,
        /// The name; up to 127 characters.
        "dnsName" dns_name: Option<String>,
        /// The rules that identify test traffic.
        "testTrafficRules" test_traffic_rules: Option<TestTraffic>,
    }
    /// The rules that identify test traffic.
    TestTraffic {
        /// The header of test requests.
        "header" header: TestHeader,
    }
    /// The header of test requests.
    TestHeader {
        /// The name of the header.
        "name" name: String,
        /// The value of the header.
        "value" value: Option<TestHeaderValue>,
    }
    /// The value of the header of test requests.
    TestHeaderValue {
        /// The exact value.
        "exact" exact: String,
    }
    /// The request timeouts.
    ServiceConnectTimeout {
        /// The idle timeout of a connection in seconds.
        "idleTimeoutSeconds" idle_timeout_seconds: Option<u32>,
        /// The timeout of a request in seconds.
        "perRequestTimeoutSeconds" per_request_timeout_seconds: Option<u32>,
    }
    /// The TLS settings of Service Connect.
    ServiceConnectTls {
        /// The certificate authority.
        "issuerCertificateAuthority" issuer_certificate_authority: CertificateAuthority,
        /// The key that protects the private keys.
        "kmsKey" kms_key: Option<String>,
        /// The role with which ECS requests certificates.
        "roleArn" role_arn: Option<String>,
    }
    /// A certificate authority.
    CertificateAuthority {
        /// AWS Private CA.
        "awsPcaAuthorityArn" aws_pca_authority_arn: Option<String>,
    }
    /// The access log of the Service Connect proxy.
    AccessLog {
        /// `TEXT` or `JSON`.
        "format" format: String,
        /// Whether query parameters are logged: `ENABLED` or `DISABLED`.
        "includeQueryParameters" include_query_parameters: Option<String>,
    }
    /// The log level of the Service Connect proxy.
    ProxyLogLevel {
        /// `debug` or `info`.
        "logLevel" log_level: Option<String>,
    }
    /// The EBS volume that is created for each task of a service.
    ManagedEbsVolume {
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
        /// `xfs`, `ext3`, `ext4` or `ntfs`.
        "filesystemType" filesystem_type: Option<String>,
    }
    /// Tags of a resource that is created for a task.
    TagSpecification {
        /// `volume` is the only one.
        "resourceType" resource_type: String,
        /// The tags.
        "tags" tags: Vec<Tag>,
        /// The source of additional tags.
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
        /// Settings for deployments that shift traffic.
        "advancedConfiguration" advanced_configuration: Option<LatticeTrafficShift>,
    }
    /// Settings of VPC Lattice for deployments that shift traffic.
    LatticeTrafficShift {
        /// The second target group.
        "alternateTargetGroupArn" alternate_target_group_arn: Option<String>,
        /// The listener rule for production traffic.
        "productionListenerRule" production_listener_rule: Option<String>,
        /// The listener rule for test traffic.
        "testListenerRule" test_listener_rule: Option<String>,
    }
    /// A port that a gateway connects to.
    GatewayConnector {
        /// The port's name in the task definition.
        "portName" port_name: String,
        /// The health check of the gateway.
        "healthCheck" health_check: Option<GatewayHealthCheck>,
        /// The access filters.
        "filters" filters: Option<GatewayFilters>,
        /// The deregistration delay.
        "deregistrationDelay" deregistration_delay: Option<DeregistrationDelay>,
    }
    /// The health check of a gateway.
    GatewayHealthCheck {
        /// `HTTP` or `HTTPS`.
        "healthCheckProtocol" health_check_protocol: Option<String>,
        /// The port of the check.
        "healthCheckPort" health_check_port: Option<u32>,
        /// The path of the check.
        "healthCheckPath" health_check_path: Option<String>,
        /// The timeout of a check in seconds.
        "healthCheckTimeoutSeconds" health_check_timeout_seconds: Option<u32>,
        /// Seconds between two checks.
        "healthCheckIntervalSeconds" health_check_interval_seconds: Option<u32>,
        /// Consecutive successes after which a task is healthy.
        "healthyThresholdCount" healthy_threshold_count: Option<u32>,
        /// Consecutive failures after which a task is unhealthy.
        "unhealthyThresholdCount" unhealthy_threshold_count: Option<u32>,
        /// The response codes that count as success.
        "matcher" matcher: Option<GatewayMatcher>,
    }
    /// The response codes that count as success.
    GatewayMatcher {
        /// Status codes of HTTP.
        "httpCode" http_code: Option<String>,
        /// Status codes of gRPC.
        "grpcCode" grpc_code: Option<String>,
    }
    /// The access filters of a gateway.
    GatewayFilters {
        /// `PUBLIC`, `PRIVATE`.
        "accessTypes" access_types: Vec<String>,
    }
    /// The deregistration delay of a gateway.
    DeregistrationDelay {
        /// Seconds for which requests in flight may continue.
        "timeoutSeconds" timeout_seconds: Option<u32>,
    }
    /// The metrics and their resolution.
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
