use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X05",
    name: "invalid-ulimit",
    severity: Severity::Error,
    title: "invalid ulimit",
    explanation: "A process starts with the soft limit and may raise it to the hard limit. Fargate \
                  sets nofile to 65535 by default. Windows has no ulimits.",
    source: "ECS API, Ulimit; developer guide, Fargate task resource limits",
    hint: "Lower the soft limit.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "ulimits": [{ "name": "nofile", "softLimit": 65535, "hardLimit": 65535 }]
    }
  ]
}"#,
    // The soft limit is above the hard limit.
    failing: Failing::Change(r#""hardLimit": 65535"#, r#""hardLimit": 1024"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        for (index, limit) in container.ulimits.iter().enumerate() {
            let pointer = format!("{pointer}/ulimits/{index}");
            report.check_enum(&format!("{pointer}/name"), Some(&limit.name), &NAMES);
            if located.definition.is_windows() {
                report.add(
                    pointer,
                    "Windows containers do not support ulimits",
                    "remove `ulimits`",
                );
            // A hard limit of -1 means unlimited.
            } else if limit.hard_limit >= 0 && limit.soft_limit > limit.hard_limit {
                let message = format!(
                    "{} of `{}` has a soft limit of {} above its hard limit of {}",
                    limit.name, container.name, limit.soft_limit, limit.hard_limit
                );
                let pointer = format!("{pointer}/softLimit");

                report.add(pointer.clone(), message, "lower the soft limit");
                let edits = vec![Edit::Set(pointer, json!(limit.hard_limit))];
                report.fix("lower the soft limit to the hard limit", edits);
            } else if limit.name == "nofile" && limit.hard_limit > MAX_FILES {
                let message = format!(
                    "{} open files; the maximum is {MAX_FILES}",
                    limit.hard_limit
                );
                report.add(
                    format!("{pointer}/hardLimit"),
                    message,
                    "lower the hard limit",
                );
            }
        }
    }
}

const MAX_FILES: i64 = 1_048_576;

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
