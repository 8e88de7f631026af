use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "S01",
    name: "invalid-secret-reference",
    severity: Severity::Error,
    title: "invalid secret reference",
    explanation: "Secrets Manager: arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME- \
                  SUFFIX, where a key, a stage and a version may follow as :key:stage:version, \
                  all three colons if one. Parameter Store: \
                  arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME, or the bare name in the same \
                  region. A secret that cannot be found stops the task before it starts.",
    source: "ECS API, Secret, field valueFrom; developer guide, secrets in environment \
                  variables",
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
    failing: r#"{
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
          "valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:web/key-a1B2c3:password"
        }
      ]
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let log = one
            .log_configuration
            .iter()
            .flat_map(|log| log.secret_options.iter().enumerate());
        let all = one
            .secrets
            .iter()
            .enumerate()
            .map(|found| ("secrets", found))
            .chain(log.map(|found| ("logConfiguration/secretOptions", found)));

        for (list, (index, secret)) in all {
            let pointer = format!("{pointer}/{list}/{index}/valueFrom");
            match wrong_with(&secret.value_from) {
                Wrong::Nothing => {}
                Wrong::Error(what, hint) => {
                    report.add(
                        pointer,
                        format!("the secret `{}` {what}", secret.name),
                        hint,
                    );
                }
                Wrong::Doubt(what, hint) => {
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

enum Wrong {
    Nothing,
    Error(String, &'static str),
    Doubt(String, &'static str),
}

fn wrong_with(text: &str) -> Wrong {
    if !text.starts_with("arn:") {
        return bare(text);
    }

    let parts: Vec<_> = text.split(':').collect();
    if parts.len() < 6 {
        let what = format!("has an ARN of {} parts; 6 or more are needed", parts.len());
        return Wrong::Error(what, "copy the whole ARN");
    }

    let (service, region, account) = (parts[2], parts[3], parts[4]);
    if !matches!(service, "secretsmanager" | "ssm") {
        let what = format!("points at `{service}`");
        return Wrong::Error(what, "use Secrets Manager or Parameter Store (ssm)");
    }

    if region.matches('-').count() < 2 {
        return Wrong::Error(
            format!("has `{region}` where the region stands"),
            "write the region",
        );
    }

    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = format!("has `{account}` where the account stands");
        return Wrong::Error(what, "write the account's 12 digits");
    }

    if service == "ssm" {
        parameter(&parts)
    } else {
        secret(&parts)
    }
}

fn bare(text: &str) -> Wrong {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if !text.is_empty() && text.chars().all(allowed) {
        return Wrong::Nothing;
    }
    let what = format!("is neither an ARN nor a parameter's name: `{text}`");
    Wrong::Error(what, "copy the whole ARN")
}

fn parameter(parts: &[&str]) -> Wrong {
    let named = parts[5]
        .strip_prefix("parameter/")
        .is_some_and(|name| !name.is_empty() && !name.starts_with('/'));
    if named {
        return Wrong::Nothing;
    }
    let what = format!("has `{}` where parameter/NAME stands", parts[5]);
    Wrong::Error(
        what,
        "write parameter/ and the name, without a second slash",
    )
}

fn secret(parts: &[&str]) -> Wrong {
    let name = parts.get(6).copied().unwrap_or_default();
    if parts[5] != "secret" || name.is_empty() {
        return Wrong::Error(
            "has no secret:NAME in its ARN".to_owned(),
            "copy the whole ARN",
        );
    }

    if !matches!(parts.len(), 7 | 10) {
        let what = format!(
            "has {} of the 3 parts that follow the name",
            parts.len() - 7
        );
        return Wrong::Error(
            what,
            "write all three colons: NAME:key:stage:version, as in NAME:key::",
        );
    }

    let suffix = name.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    let whole = suffix.len() == 6 && suffix.chars().all(|c| c.is_ascii_alphanumeric());
    if whole {
        return Wrong::Nothing;
    }

    let what = "has no suffix of six characters at the end of its name".to_owned();
    Wrong::Doubt(
        what,
        "copy the whole ARN, with the suffix that Secrets Manager gave it",
    )
}
