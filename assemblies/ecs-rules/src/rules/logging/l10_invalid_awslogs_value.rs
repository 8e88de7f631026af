use diagnostics::{Severity, nearest};
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L10",
    name: "invalid-awslogs-value",
    severity: Severity::Error,
    title: "invalid log group or region of awslogs",
    explanation: "The name of a log group has 1 to 512 letters, digits, and _ - / . #. The prefix of the log \
                  stream contains neither : nor *. The region is that of the group, such as \
                  eu-central-1, not an Availability Zone. The container \
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
        if let Some(prefix) = get("awslogs-stream-prefix") {
            let bad = prefix.chars().find(|c| matches!(c, ':' | '*'));
            let message = match bad {
                Some(bad) => Some(format!("the log stream of `{name}` contains `{bad}`")),
                None => prefix
                    .is_empty()
                    .then(|| format!("the prefix of the log stream of `{name}` is empty")),
            };
            if let Some(message) = message {
                let hint = "use a prefix without : and *, such as the name of the container";
                report.add(format!("{pointer}/awslogs-stream-prefix"), message, hint);
            }
        }
        let known = get("awslogs-region").filter(|region| is_region(region));
        if let Some(region) = known.filter(|region| !REGIONS.contains(region)) {
            let message = format!("`{region}` is not a known region (in `{name}`)");
            let hint = match nearest(region, REGIONS) {
                Some(suggestion) => format!("did you mean {suggestion}?"),
                None => {
                    "check its spelling; a region newer than this program is accepted".to_owned()
                }
            };
            report.warn(format!("{pointer}/awslogs-region"), message, hint);
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

/// The regions of all partitions; AWS general reference, CloudWatch Logs endpoints.
const REGIONS: [&str; 41] = [
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-isoe-west-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-west-1",
    "us-west-2",
];
