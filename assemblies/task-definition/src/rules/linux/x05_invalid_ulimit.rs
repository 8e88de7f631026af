use serde_json::json;

use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X05",
    name: "invalid-ulimit",
    severity: Severity::Error,
    title: "invalid ulimit",
    explanation: "The soft limit is where a process starts, the hard one how far it may raise \
                  it. Fargate gives 65535 open files when nothing is said. Windows has no \
                  ulimits.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "ulimits": [{ "name": "nofile", "softLimit": 65535, "hardLimit": 1024 }]
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        for (index, limit) in one.ulimits.iter().enumerate() {
            let pointer = format!("{pointer}/ulimits/{index}");
            report.check_enum(&format!("{pointer}/name"), Some(&limit.name), &NAMES);
            if located.definition.is_windows() {
                report.add(
                    pointer,
                    "Windows containers have no ulimits",
                    "remove `ulimits`",
                );
            } else if limit.hard_limit >= 0 && limit.soft_limit > limit.hard_limit {
                let message = format!(
                    "{} of `{}` begins at {} and ends at {}",
                    limit.name, one.name, limit.soft_limit, limit.hard_limit
                );
                let pointer = format!("{pointer}/softLimit");

                report.add(pointer.clone(), message, "lower the soft limit");
                let edits = vec![Edit::Set(pointer, json!(limit.hard_limit))];
                report.fix("begin at the hard limit", edits);
            } else if limit.name == "nofile" && limit.hard_limit > MOST_FILES {
                let message = format!("{} open files; {MOST_FILES} are the most", limit.hard_limit);
                report.add(
                    format!("{pointer}/hardLimit"),
                    message,
                    "lower the hard limit",
                );
            }
        }
    }
}

const MOST_FILES: i64 = 1_048_576;

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
