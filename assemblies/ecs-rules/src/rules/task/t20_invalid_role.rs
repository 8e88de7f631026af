use diagnostics::Severity;
use task_definition::LocatedDefinition;

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
        let Some(problem) = role.as_deref().and_then(find_problem) else {
            continue;
        };
        let message = format!("{field} {problem}");
        let hint = "copy the whole ARN of the role: arn:aws:iam::ACCOUNT:role/NAME";
        report.add(format!("/{field}"), message, hint);
    }
}

fn find_problem(role: &str) -> Option<String> {
    if !role.starts_with("arn:") {
        // The API accepts the short name as well.
        return (!is_name(role))
            .then(|| format!("is neither an ARN nor the name of a role: `{role}`"));
    }
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let &[_, partition, service, region, account, resource] = parts.as_slice() else {
        return Some(format!(
            "has an ARN of {} parts, not 6: `{role}`",
            parts.len()
        ));
    };

    if !partition.starts_with("aws") {
        return Some(format!("has `{partition}` in place of the partition aws"));
    }
    if service != "iam" {
        return Some(format!("is an ARN of `{service}`, not of iam"));
    }
    if !region.is_empty() {
        return Some(format!("has the region `{region}`; roles have none"));
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!(
            "has `{account}` in place of an account of 12 digits"
        ));
    }

    let Some(path) = resource.strip_prefix("role/") else {
        let kind = resource.split('/').next().unwrap_or_default();
        return Some(format!("is the ARN of a {kind}, not of a role"));
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_valid = is_name(name) && !path.starts_with('/') && !path.contains("//");
    (!is_valid).then(|| format!("has `{path}` in place of the role's path and name"))
}

/// Returns whether the text is a role's name: 1 to 64 letters, digits and `+=,.@_-`.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::find_problem;

    #[test]
    fn accepts_names_and_arns_of_roles_only() {
        for right in [
            "ecsTaskExecutionRole",
            "arn:aws:iam::111122223333:role/web",
            "arn:aws:iam::111122223333:role/service-role/team/web",
            "arn:aws-us-gov:iam::111122223333:role/web",
        ] {
            assert_eq!(find_problem(right), None, "{right}");
        }

        for wrong in [
            "",
            "/web",
            "arn:aws:iam",
            "arn:aws:iam::1111:role/web",
            "arn:aws:iam:eu-central-1:111122223333:role/web",
            "arn:aws:sts::111122223333:assumed-role/web/x",
            "arn:aws:iam::111122223333:instance-profile/web",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role//web",
            "arn:aws:iam::111122223333:web",
        ] {
            assert!(find_problem(wrong).is_some(), "{wrong}");
        }
    }
}
