use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L10",
    name: "invalid-awslogs-value",
    severity: Severity::Error,
    title: "invalid log group or region of awslogs",
    explanation: "The name of a log group has 1 to 512 letters, digits, and _ - / . #. The region is \
                  that of the group, such as eu-central-1, not an Availability Zone. The container \
                  does not start if the driver cannot create its log stream.",
    source: "CloudWatch Logs API, CreateLogGroup, field logGroupName; ECS API, LogConfiguration",
    hint: "Correct the name of the group, or the region.",
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
      "logConfiguration": {
        "logDriver": "awslogs",
        "options": {
          "awslogs-group": "/ecs/web",
          "awslogs-region": "eu-central-1",
          "awslogs-stream-prefix": "app"
        }
      }
    }
  ]
}"#,
    // An Availability Zone.
    failing: Failing::Change(r#""eu-central-1""#, r#""eu-central-1a""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, log) in logs(located).filter(|(_, _, log)| log.log_driver == "awslogs")
    {
        let pointer = format!("{pointer}/options");
        let name = &container.name;
        let get = |option: &str| log.options.get(option).map(String::as_str);

        if let Some(group) = get("awslogs-group").filter(|group| !is_group(group)) {
            let message = format!("`{group}` is not a valid log group (in `{name}`)");
            let hint = "use 1 to 512 letters, digits, and _ - / . #";
            report.add(format!("{pointer}/awslogs-group"), message, hint);
        }
        let region = get("awslogs-region").filter(|region| !is_region(region));
        if let Some(region) = region {
            let message = format!("`{region}` is not a region (in `{name}`)");
            let hint = "write a region such as eu-central-1";
            let pointer = format!("{pointer}/awslogs-region");
            // Examples in documentation have a word in place of the region.
            if region.ends_with("region") {
                report.warn(pointer, message, hint);
            } else {
                report.add(pointer, message, hint);
            }
        }

        // The driver parses the word with Go's strconv.ParseBool.
        if let Some(word) = get("awslogs-create-group").filter(|word| !BOOLEANS.contains(word)) {
            let message = format!("awslogs-create-group cannot be `{word}` (in `{name}`)");
            report.add(
                format!("{pointer}/awslogs-create-group"),
                message,
                "write \"true\", or remove it",
            );
        }
    }
}

fn is_group(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-/.#".contains(c);
    (1..=512).contains(&text.len()) && text.chars().all(allowed)
}

/// Returns whether the text has the form of a region: letters, one or more words, and a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, words @ .., number] = parts.as_slice() else {
        return false;
    };
    let is_word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_word(first) && !words.is_empty() && words.iter().all(|word| is_word(word)) && is_number
}

const BOOLEANS: [&str; 12] = [
    "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False",
];
