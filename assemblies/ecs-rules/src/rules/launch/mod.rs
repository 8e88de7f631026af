//! Rules about services and RunTask requests.

/// Completes a document with the task definition that most examples of this group share.
macro_rules! with_definition {
    ($request:literal) => {
        concat!(
            r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
        "portMappings": [{ "containerPort": 8080, "name": "web" }]
      }
    ]
  },
"#,
            $request,
            "\n}"
        )
    };
}

/// A template with a service behind a listener.
macro_rules! stack_with_listener {
    () => {
        r#"{
  "Resources": {
    "Task": {
      "Type": "AWS::ECS::TaskDefinition",
      "Properties": {
        "RequiresCompatibilities": ["FARGATE"],
        "NetworkMode": "awsvpc",
        "Cpu": "256",
        "Memory": "512",
        "ContainerDefinitions": [
          { "Name": "app", "Image": "app:1", "PortMappings": [{ "ContainerPort": 8080 }] }
        ]
      }
    },
    "Group": {
      "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
      "Properties": { "TargetType": "ip", "Port": 8080, "Protocol": "HTTP", "VpcId": "vpc-1" }
    },
    "Listener": {
      "Type": "AWS::ElasticLoadBalancingV2::Listener",
      "Properties": {
        "LoadBalancerArn": { "Fn::ImportValue": "balancer" },
        "DefaultActions": [{ "Type": "forward", "TargetGroupArn": { "Ref": "Group" } }]
      }
    },
    "Service": {
      "Type": "AWS::ECS::Service",
      "DependsOn": "Listener",
      "Properties": {
        "TaskDefinition": { "Ref": "Task" },
        "LaunchType": "FARGATE",
        "NetworkConfiguration": { "AwsvpcConfiguration": { "Subnets": ["subnet-1"] } },
        "DeploymentConfiguration": {
          "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true }
        },
        "LoadBalancers": [
          { "TargetGroupArn": { "Ref": "Group" }, "ContainerName": "app", "ContainerPort": 8080 }
        ]
      }
    }
  }
}"#
    };
}

crate::rule_modules! {
    mod q01_run_task_limits;
    mod q02_launch_conflict;
    mod q03_invalid_service_connect;
    mod q04_invalid_network;
    mod q05_unknown_launch_value;
    mod q06_unconfigured_volume;
    mod q07_no_deployment_headroom;
    mod q08_no_circuit_breaker;
    mod q09_all_spot;
    mod q10_conflicting_settings;
    mod q11_invalid_traffic_shift;
    mod q12_incomplete_traffic_shift;
    mod q13_invalid_early_success;
    mod q14_invalid_lifecycle_hook;
    mod q15_invalid_failure_threshold;
    mod q16_invalid_monitoring;
    mod q17_invalid_gateway_connector;
    mod q18_invalid_target_group;
    mod q19_platform_version;
    mod q20_exec_cannot_start;
    mod q21_invalid_capacity_strategy;
    mod q22_unsupported_by_controller;
    mod q23_invalid_service_name;
    mod q24_unsupported_rebalancing;
    mod q25_invalid_service_registry;
    mod q26_service_before_listener;
    mod q27_instance_target_type;
}
