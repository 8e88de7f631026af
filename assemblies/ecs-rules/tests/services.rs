//! Single faults in the settings of a service are found, and the service without them is accepted.

use diagnostics::source::Source;
use ecs_rules::inputs::check_input;

/// Checks a service with these fields of deploymentConfiguration, and these fields beside it.
fn rules_of(deployment: &str, fields: &str) -> Vec<&'static str> {
    let text = format!(
        r#"{{ "serviceName": "web", "taskDefinition": "web", "launchType": "FARGATE", "desiredCount": 2,
          "networkConfiguration": {{ "awsvpcConfiguration": {{ "subnets": ["subnet-1"] }} }},
          "deploymentConfiguration": {{
            "deploymentCircuitBreaker": {{ "enable": true, "rollback": true }}{deployment} }}{fields} }}"#
    );
    let findings = check_input(&Source::new("service.json", text));
    findings.iter().map(|finding| finding.rule).collect()
}

fn balancer(advanced: &str) -> String {
    let group = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/blue/01";
    format!(
        r#", "loadBalancers": [{{ "targetGroupArn": "{group}", "containerName": "app",
          "containerPort": 8080{advanced} }}]"#
    )
}

#[test]
fn finds_single_faults_of_a_deployment() {
    for (deployment, expected) in [
        (
            r#", "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 0.05 }"#,
            "Q11",
        ),
        (
            r#", "strategy": "CANARY", "canaryConfiguration": { "canaryBakeTimeInMinutes": 1441 }"#,
            "Q11",
        ),
        (
            r#", "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 2 }"#,
            "Q11",
        ),
        (
            r#", "strategy": "LINEAR", "linearConfiguration": { "stepBakeTimeInMinutes": 2000 }"#,
            "Q11",
        ),
        (
            r#", "strategy": "LINEAR", "canaryConfiguration": { "canaryPercent": 5 }"#,
            "Q11",
        ),
        (r#", "linearConfiguration": { "stepPercent": 10 }"#, "Q11"),
        (
            r#", "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1441"#,
            "Q11",
        ),
        (r#", "strategy": "BLUE_GREEN""#, "Q12"),
        (
            r#", "minimumHealthyPercent": 80, "earlySuccessCriteria": { "enable": true, "healthyPercent": 50, "sourceServiceRevisionCleanup": "BLOCKING" }"#,
            "Q13",
        ),
        (
            r#", "earlySuccessCriteria": { "enable": true, "healthyPercent": 90, "sourceServiceRevisionCleanup": "LATER" }"#,
            "Q13",
        ),
        (
            r#", "lifecycleHooks": [{ "lifecycleStages": ["PRE_SCALE_UP"], "roleArn": "arn:aws:iam::111122223333:role/x" }]"#,
            "Q14",
        ),
        (
            r#", "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"] }]"#,
            "Q14",
        ),
        (
            r#", "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["AFTER"] }]"#,
            "Q14",
        ),
        (
            r#", "alarms": { "alarmNames": [], "enable": true, "rollback": true }"#,
            "Q15",
        ),
    ] {
        assert_eq!(rules_of(deployment, ""), [expected], "{deployment}");
    }
    assert!(rules_of("", "").is_empty());
}

#[test]
fn finds_single_faults_beside_the_deployment() {
    let blue_green = r#", "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5"#;
    assert_eq!(rules_of(blue_green, &balancer("")), ["Q12"]);
    assert_eq!(
        rules_of("", &balancer("").replace("targetgroup", "loadbalancer")),
        ["Q18"]
    );

    for (fields, expected) in [
        (
            r#", "monitoring": { "metricConfigurations": [{ "metricNames": ["CPUUtilization"], "resolutionSeconds": 30 }] }"#,
            "Q16",
        ),
        (
            r#", "gatewayConnectors": [{ "portName": "a" }, { "portName": "b" }]"#,
            "Q17",
        ),
        (r#", "platformVersion": "2.0.0""#, "Q19"),
    ] {
        assert_eq!(rules_of("", fields), [expected], "{fields}");
    }
}
