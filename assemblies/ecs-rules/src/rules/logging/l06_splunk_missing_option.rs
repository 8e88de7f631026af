use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::logs;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L06",
    name: "splunk-missing-option",
    severity: Severity::Error,
    title: "splunk without token or URL",
    explanation: "The driver requires splunk-url and splunk-token. The token belongs into the secret \
                  options: everyone who may describe the definition can read the others.",
    source: "ECS API, LogConfiguration; Docker, splunk log driver",
    hint: "Add splunk-url to options and splunk-token to secretOptions.",
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
        "logDriver": "splunk",
        "options": { "splunk-url": "https://splunk.example:8088" },
        "secretOptions": [
          {
            "name": "splunk-token",
            "valueFrom": "arn:aws:ssm:eu-central-1:111122223333:parameter/splunk"
          }
        ]
      }
    }
  ]
}"#,
    // splunk-token is missing.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "logConfiguration": { "logDriver": "splunk", "options": { "splunk-url": "https://splunk.example:8088" } }
    }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, log) in logs(located).filter(|(_, _, log)| log.log_driver == "splunk")
    {
        if log.options.contains_key("splunk-token") {
            let message = format!("the splunk token of `{}` is in plain text", container.name);
            let hint = "move it to secretOptions, with valueFrom a secret's ARN";
            report.warn(format!("{pointer}/options/splunk-token"), message, hint);
        }
        for option in ["splunk-url", "splunk-token"] {
            // Either list may contain either option.
            let is_secret = log
                .secret_options
                .iter()
                .any(|secret| secret.name == option);
            if !is_secret && !log.options.contains_key(option) {
                let list = if option == "splunk-token" {
                    "secretOptions"
                } else {
                    "options"
                };

                let message = format!("the log of `{}` has no `{option}`", container.name);
                report.add(&pointer, message, format!("add `{option}` to {list}"));
            }
        }
    }
}
