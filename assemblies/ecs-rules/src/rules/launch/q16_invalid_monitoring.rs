use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q16",
    name: "invalid-monitoring",
    severity: Severity::Error,
    title: "invalid metric or resolution",
    explanation: "A service has the metrics CPUUtilization and MemoryUtilization, with a value every \
                  20 or 60 seconds. ECS rejects other names and resolutions.",
    source: "ECS API, MetricConfiguration",
    hint: "Write 20 or 60.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "monitoring": {
      "metricConfigurations": [{ "metricNames": ["CPUUtilization"], "resolutionSeconds": 20 }]
    },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // CloudWatch stores this resolution, but ECS does not offer it.
    failing: Failing::Change(r#""resolutionSeconds": 20"#, r#""resolutionSeconds": 10"#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let monitoring = context
        .service()
        .and_then(|service| service.monitoring.as_ref());
    let all = monitoring.map_or(&[][..], |monitoring| &monitoring.metric_configurations);
    let mut named: Vec<&str> = Vec::new();

    for (index, metrics) in all.iter().enumerate() {
        let pointer = format!("/monitoring/metricConfigurations/{index}");
        let resolution = metrics.resolution_seconds;
        if !matches!(resolution, 20 | 60) {
            let message = format!("a resolution of {resolution} s is not offered");
            report.add(
                format!("{pointer}/resolutionSeconds"),
                message,
                "write 20 or 60",
            );
        }
        if metrics.metric_names.is_empty() {
            let message = "a metric configuration names no metric";
            report.add(
                format!("{pointer}/metricNames"),
                message,
                "name CPUUtilization",
            );
        }

        for (position, name) in metrics.metric_names.iter().enumerate() {
            let pointer = format!("{pointer}/metricNames/{position}");
            report.check_enum(&pointer, Some(name), &METRICS);
            // Two resolutions of one metric contradict each other.
            if named.contains(&name.as_str()) {
                let message = format!("`{name}` has two resolutions");
                report.add(pointer, message, "name each metric once");
            }
            named.push(name);
        }
    }
}

const METRICS: [&str; 2] = ["CPUUtilization", "MemoryUtilization"];
