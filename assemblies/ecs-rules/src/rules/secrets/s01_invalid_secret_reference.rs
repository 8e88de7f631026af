use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "S01",
    name: "invalid-secret-reference",
    severity: Severity::Error,
    title: "invalid secret reference",
    explanation: "Secrets Manager: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX, \
                  optionally followed by :key:stage:version with all three colons. Parameter Store: \
                  arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME, or the bare name in the same \
                  region. If a secret is not found, the task stops before it starts.",
    source: "ECS API, Secret, field valueFrom; developer guide, secrets in environment variables",
    hint: "Copy the whole ARN.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "executionRoleArn": "arn:aws:iam::111122223333:role/ecs-execution",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "secrets": [
        {
          "name": "KEY",
          "valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:web/key-a1B2c3:password::"
        }
      ]
    }
  ]
}"#,
    // A JSON key needs all three colons after the name.
    failing: Failing::Change(
        r#""valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:web/key-a1B2c3:password::""#,
        r#""valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:web/key-a1B2c3:password""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let log = container
            .log_configuration
            .iter()
            .flat_map(|log| log.secret_options.iter().enumerate());
        let all = container
            .secrets
            .iter()
            .enumerate()
            .map(|found| ("secrets", found))
            .chain(log.map(|found| ("logConfiguration/secretOptions", found)));

        for (list, (index, secret)) in all {
            let pointer = format!("{pointer}/{list}/{index}/valueFrom");
            match validate(&secret.value_from) {
                Validity::Valid => {}
                Validity::Invalid(what, hint) => {
                    report.add(
                        pointer,
                        format!("the secret `{}` {what}", secret.name),
                        hint,
                    );
                }
                Validity::Doubtful(what, hint) => {
                    report.warn(
                        pointer,
                        format!("the secret `{}` {what}", secret.name),
                        hint,
                    );
                }
            }
        }
    }
}

/// The result of a validation: the problem and a hint.
enum Validity {
    Valid,
    Invalid(String, &'static str),
    Doubtful(String, &'static str),
}

fn validate(text: &str) -> Validity {
    if !text.starts_with("arn:") {
        return validate_name(text);
    }

    let parts: Vec<_> = text.split(':').collect();
    if parts.len() < 6 {
        let what = format!("has an ARN of {} parts; 6 or more are needed", parts.len());
        return Validity::Invalid(what, "copy the whole ARN");
    }

    let (service, region, account) = (parts[2], parts[3], parts[4]);
    if !matches!(service, "secretsmanager" | "ssm") {
        let what = format!("refers to `{service}`");
        return Validity::Invalid(what, "use Secrets Manager or Parameter Store (ssm)");
    }

    // Every region has two hyphens or more: eu-central-1, us-gov-west-1.
    if region.matches('-').count() < 2 {
        return Validity::Invalid(
            format!("has `{region}` in place of the region"),
            "write the region",
        );
    }

    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = format!("has `{account}` in place of the account");
        return Validity::Invalid(what, "write the account's 12 digits");
    }

    if service == "ssm" {
        validate_parameter(&parts)
    } else {
        validate_secret(&parts)
    }
}

fn validate_name(text: &str) -> Validity {
    // A parameter with a path begins with a slash, and a secret needs its ARN, so this is neither.
    if text.contains('/') && !text.starts_with('/') {
        let what = format!("is neither an ARN nor a parameter name: `{text}`");
        let hint = "begin the path of a parameter with /, or copy the whole ARN of the secret";
        return Validity::Invalid(what, hint);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if text.contains("//") || (text.len() > 1 && text.ends_with('/')) {
        let what = format!("has an empty part in the parameter name: `{text}`");
        return Validity::Invalid(what, "separate the parts with single slashes");
    }
    if !text.is_empty() && text.chars().all(allowed) {
        return Validity::Valid;
    }
    let what = format!("is neither an ARN nor a parameter name: `{text}`");
    Validity::Invalid(what, "copy the whole ARN")
}

// A name with a path begins with a slash, which `parameter/` already contains.
fn validate_parameter(parts: &[&str]) -> Validity {
    let has_name = parts[5]
        .strip_prefix("parameter/")
        .is_some_and(|name| !name.is_empty() && !name.starts_with('/'));
    if has_name {
        return Validity::Valid;
    }
    let what = format!("has `{}` in place of parameter/NAME", parts[5]);
    Validity::Invalid(
        what,
        "write parameter/ and the name, without a second slash",
    )
}

fn validate_secret(parts: &[&str]) -> Validity {
    let name = parts.get(6).copied().unwrap_or_default();
    if parts[5] != "secret" || name.is_empty() {
        return Validity::Invalid(
            "has no secret:NAME in its ARN".to_owned(),
            "copy the whole ARN",
        );
    }

    // Six fields and the name; key, stage and version are given together.
    if !matches!(parts.len(), 7 | 10) {
        let what = format!(
            "has {} of the 3 parts that follow the name",
            parts.len() - 7
        );
        return Validity::Invalid(
            what,
            "write all three colons: NAME:key:stage:version, as in NAME:key::",
        );
    }

    // Secrets Manager appends a hyphen and six random characters to the name. A warning, because a
    // partial ARN may still resolve.
    let suffix = name.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    let has_suffix = suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric());
    if has_suffix {
        return Validity::Valid;
    }

    let what = "has no suffix of six characters at the end of its name".to_owned();
    Validity::Doubtful(
        what,
        "copy the whole ARN, with the suffix of Secrets Manager",
    )
}
