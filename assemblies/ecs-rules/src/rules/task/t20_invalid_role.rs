use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::roles::find_role_problem;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T20",
    name: "invalid-role",
    severity: Severity::Error,
    title: "task or execution role is not a role",
    explanation: "ECS takes the name or the ARN of a role, with an account of 12 digits and no region.",
    source: "ECS API, RegisterTaskDefinition; IAM user guide, IAM identifiers",
    hint: "Copy the whole ARN of the role.",
    passing: r#"{
  "family": "web",
  "executionRoleArn": "arn:aws:iam::111122223333:role/ecs",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // One digit of the account is missing.
    failing: Failing::Change("111122223333", "11112222333"),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    for (field, role) in [
        ("taskRoleArn", &definition.task_role_arn),
        ("executionRoleArn", &definition.execution_role_arn),
    ] {
        let Some(problem) = role.as_deref().and_then(find_role_problem) else {
            continue;
        };
        let message = format!("{field} {problem}");
        let hint = "copy the whole ARN of the role: arn:aws:iam::ACCOUNT:role/NAME";
        report.add(format!("/{field}"), message, hint);
    }
}
