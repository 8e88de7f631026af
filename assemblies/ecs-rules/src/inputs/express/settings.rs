//! Checks the settings of a service of Express Mode.

use diagnostics::source::{Node, Source};
use diagnostics::{Finding, Location, RuleRef};
use task_definition::{ExpressService, WRONG_TYPE};

/// The rule about settings that exclude each other.
const CONFLICT: RuleRef = RuleRef {
    id: "Q10",
    source: "ECS API, CreateExpressGatewayService, field taskDefinitionArn",
};

/// The checks of the service itself.
pub(super) struct Settings<'s> {
    pub(super) source: &'s Source,
    pub(super) node: &'s Node,
    pub(super) service: &'s ExpressService,
}

impl Settings<'_> {
    /// Returns the findings; a value is not checked if it is unknown.
    pub(super) fn findings(&self, is_unknown: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        // ECS takes these from the definition, and rejects both.
        let has_definition = self.node.get("taskDefinitionArn").is_some();
        if has_definition {
            let present = WITHOUT_DEFINITION
                .iter()
                .filter(|field| self.node.get(field).is_some());
            findings.extend(present.map(|field| {
                let message = format!("`{field}` is set beside a task definition, which has it");
                let hint = format!("remove `{field}`, or `taskDefinitionArn`");
                self.finding(CONFLICT, field, message, hint)
            }));
        }

        // UpdateExpressGatewayService keeps what it is not given.
        if self.service.service_arn.is_none() {
            findings.extend(self.missing(has_definition));
        }

        let path = self.service.health_check_path.as_deref();
        if path.is_some_and(|path| !path.starts_with('/')) && !is_unknown("/healthCheckPath") {
            let message = "the path of the health check does not begin with `/`";
            findings.push(self.finding(WRONG_TYPE, "healthCheckPath", message, "write `/health`"));
        }
        findings.extend(self.scaling(is_unknown));
        findings
    }

    /// Returns findings about the fields that CreateExpressGatewayService requires.
    fn missing(&self, has_definition: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut report = |field: &str, hint: &str| {
            let message = format!("the Express service needs `{field}`");
            findings.push(self.finding(WRONG_TYPE, field, message, hint));
        };
        if self.node.get("infrastructureRoleArn").is_none() {
            report(
                "infrastructureRoleArn",
                "add the role with which ECS makes the load balancer",
            );
        }
        if !has_definition && self.node.get("primaryContainer").is_none() {
            report(
                "primaryContainer",
                "add it with an `image`, or `taskDefinitionArn`",
            );
        }
        findings
    }

    fn scaling(&self, is_unknown: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let Some(scaling) = self.service.scaling_target.as_ref() else {
            return Vec::new();
        };
        if is_unknown("/scalingTarget") {
            return Vec::new();
        }

        let mut findings = Vec::new();
        if let (Some(least), Some(most)) = (scaling.min_task_count, scaling.max_task_count)
            && least > most
        {
            let message = format!("the service scales from {least} to {most} tasks");
            findings.push(self.finding(
                WRONG_TYPE,
                "scalingTarget",
                message,
                "write the smaller number first",
            ));
        }

        // ECS API, ExpressGatewayScalingTarget, field autoScalingMetric.
        let metric = scaling.auto_scaling_metric.as_deref();
        if let Some(metric) = metric.filter(|metric| !METRICS.contains(metric)) {
            let message = format!("`{metric}` is not a metric of Express Mode");
            let hint = format!("choose one of: {}", METRICS.join(", "));
            findings.push(self.finding(WRONG_TYPE, "scalingTarget", message, hint));
        }
        findings
    }

    fn finding(
        &self,
        rule: RuleRef,
        field: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let entry = self
            .node
            .entries()
            .iter()
            .find(|(key, _)| key.name == field);
        let span = entry.map_or(self.node.span, |(key, _)| key.span);
        let location = Location::from_span(self.source, span);
        rule.error(location, message, hint)
            .with_pointer(format!("/{field}"))
    }
}

/// The fields that a task definition has instead of the service.
const WITHOUT_DEFINITION: [&str; 6] = [
    "primaryContainer",
    "executionRoleArn",
    "taskRoleArn",
    "cpu",
    "memory",
    "cpuArchitecture",
];
const METRICS: [&str; 3] = ["AVERAGE_CPU", "AVERAGE_MEMORY", "REQUEST_COUNT_PER_TARGET"];
