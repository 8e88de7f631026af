use diagnostics::Severity;
use task_definition::Service;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q22",
    name: "unsupported-by-controller",
    severity: Severity::Error,
    title: "setting is not supported by the deployment controller or launch type",
    explanation: "With controller EXTERNAL the task sets have the definition, network, load balancers \
                  and launch type, so the service has none of them. CODE_DEPLOY needs one target group of an Application \
                  or Network Load Balancer, and has no deployment alarms. On EC2 neither has \
                  percentages of its own. Both need the strategy REPLICA. The launch type EXTERNAL, \
                  servers outside AWS, supports neither awsvpc nor load balancers, service discovery, Service Connect, VPC \
                  Lattice and EBS.",
    source: "ECS API, CreateService and DeploymentController; ECS developer guide, ECS Anywhere",
    hint: "Remove the setting, or change the controller.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "desiredCount": 2,
    "deploymentController": { "type": "EXTERNAL" }
  }"#
    ),
    // The network belongs to the task sets.
    failing: Failing::Change(
        r#""desiredCount": 2,"#,
        r#""desiredCount": 2,
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    if context.request.launch_type() == Some("EXTERNAL") {
        check_launch_type(context, report);
    }
    let Some(service) = context.service() else {
        return;
    };
    let controller = service.deployment_controller.as_ref();
    let Some(kind) = controller.map(|controller| controller.kind.as_str()) else {
        return;
    };

    match kind {
        "EXTERNAL" => check_external(service, report),
        "CODE_DEPLOY" => check_code_deploy(service, report),
        _ => return,
    }
    check_deployment(kind, context, service, report);
    if service.scheduling_strategy.as_deref() == Some("DAEMON") {
        let message = format!("{kind} does not support DAEMON scheduling");
        report.add(
            "/schedulingStrategy",
            message,
            "write REPLICA, or remove it",
        );
    }
}

/// Reports settings of rolling updates beside another controller.
fn check_deployment(
    kind: &str,
    context: &LaunchContext<'_>,
    service: &Service,
    report: &mut Report,
) {
    let Some(deployment) = &service.deployment_configuration else {
        return;
    };
    let enclosing = "/deploymentConfiguration";
    if deployment
        .alarms
        .as_ref()
        .is_some_and(|alarms| alarms.enable)
    {
        let message = format!("deployment alarms are not supported with {kind}");
        let hint = "remove `alarms`; CodeDeploy has alarms of its own";
        report.add(format!("{enclosing}/alarms"), message, hint);
    }
    // On Fargate the percentages are not used, but accepted.
    if context.request.launch_type() != Some("EC2") {
        return;
    }
    for (field, is_set) in [
        ("maximumPercent", deployment.maximum_percent.is_some()),
        (
            "minimumHealthyPercent",
            deployment.minimum_healthy_percent.is_some(),
        ),
    ] {
        if is_set {
            let message = format!("{field} cannot be set with {kind} on EC2");
            let hint = format!("remove `{field}`");
            report.add(format!("{enclosing}/{field}"), message, hint);
        }
    }
}

fn check_external(service: &Service, report: &mut Report) {
    for (field, is_set) in [
        ("taskDefinition", service.task_definition.is_some()),
        (
            "networkConfiguration",
            service.network_configuration.is_some(),
        ),
        ("loadBalancers", !service.load_balancers.is_empty()),
        ("serviceRegistries", !service.service_registries.is_empty()),
        ("launchType", service.launch_type.is_some()),
        (
            "capacityProviderStrategy",
            !service.capacity_provider_strategy.is_empty(),
        ),
        ("platformVersion", service.platform_version.is_some()),
    ] {
        if is_set {
            let message = format!("with controller EXTERNAL {field} belongs to the task sets");
            let hint = format!("remove `{field}`, and pass it to CreateTaskSet");
            report.add(format!("/{field}"), message, hint);
        }
    }
}

fn check_code_deploy(service: &Service, report: &mut Report) {
    if service.load_balancers.is_empty() {
        let message = "CODE_DEPLOY needs an Application or Network Load Balancer";
        let pointer = "/deploymentController/type";
        report.add(
            pointer,
            message,
            "add \"loadBalancers\" with a target group",
        );
    }
    let classic = service
        .load_balancers
        .iter()
        .position(|target| target.load_balancer_name.is_some());
    if let Some(index) = classic {
        let message = "CODE_DEPLOY does not support Classic Load Balancers";
        let pointer = format!("/loadBalancers/{index}/loadBalancerName");
        report.add(pointer, message, "write \"targetGroupArn\"");
    }

    if service.load_balancers.len() > 1 {
        let message = "CODE_DEPLOY takes one target group; its deployment group names the second";
        report.add("/loadBalancers/1", message, "remove it");
    }

    let connect = service.service_connect_configuration.as_ref();
    if connect.is_some_and(|connect| connect.enabled) {
        let message =
            "Service Connect supports rolling updates and deployments of ECS, not CODE_DEPLOY";
        report.add(
            "/serviceConnectConfiguration",
            message,
            "remove it, or remove \"deploymentController\"",
        );
    }
}

fn check_launch_type(context: &LaunchContext<'_>, report: &mut Report) {
    if context.request.network().is_some() {
        let message = "tasks on servers outside AWS have no network configuration";
        report.add(
            "/networkConfiguration",
            message,
            "remove `networkConfiguration`",
        );
    }
    let Some(service) = context.service() else {
        return;
    };
    for (field, is_set) in [
        ("loadBalancers", !service.load_balancers.is_empty()),
        ("serviceRegistries", !service.service_registries.is_empty()),
        (
            "serviceConnectConfiguration",
            service
                .service_connect_configuration
                .as_ref()
                .is_some_and(|connect| connect.enabled),
        ),
        (
            "vpcLatticeConfigurations",
            !service.vpc_lattice_configurations.is_empty(),
        ),
        (
            "volumeConfigurations",
            !service.volume_configurations.is_empty(),
        ),
    ] {
        if is_set {
            let message = format!("the launch type EXTERNAL does not support {field}");
            report.add(format!("/{field}"), message, format!("remove `{field}`"));
        }
    }
}
