use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T10",
    name: "placement-constraints",
    severity: Severity::Error,
    title: "placement constraints are not supported on Fargate",
    explanation: "Placement constraints choose among container instances, which Fargate does not \
                  have. An empty list is accepted.",
    source: "ECS API, RegisterTaskDefinition, field placementConstraints; cfn-lint E3048",
    hint: "Remove placementConstraints.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "placementConstraints": [],
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // A constraint on container instances.
    failing: Failing::Change(
        r#""placementConstraints": []"#,
        r#""placementConstraints": [{ "type": "memberOf", "expression": "attribute:ecs.os-type == linux" }]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if definition.is_fargate() && !definition.placement_constraints.is_empty() {
        let message = "placementConstraints are not supported on Fargate";
        report.add(
            "/placementConstraints",
            message,
            "remove `placementConstraints`",
        );
        // Without container instances, removing the constraints changes nothing.
        let edits = vec![Edit::Remove("/placementConstraints".to_owned())];
        report.fix("remove `placementConstraints`", edits);
    }
}
