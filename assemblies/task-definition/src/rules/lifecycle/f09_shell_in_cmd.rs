use serde_json::json;

use crate::finding::{Edit, Severity};
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F09",
    name: "shell-in-cmd",
    severity: Severity::Warning,
    title: "CMD health check uses shell syntax",
    explanation: "CMD runs the second word as a program, with the words after it as they are. A \
                  whole line in one word is then the name of a program that does not exist, and || \
                  is just another argument: the check fails every time, or passes whatever happens. \
                  CMD-SHELL hands the line to a shell.",
    source: "ECS API, HealthCheck, field command",
    hint: "Write [\"CMD-SHELL\", \"the whole line\"].",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD-SHELL", "curl -f http://localhost/ || exit 1"] },
      "memory": 128
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD", "curl -f http://localhost/ || exit 1"] },
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let Some(check) = &one.health_check else {
            continue;
        };
        let Some((first, words)) = check.command.split_first() else {
            continue;
        };
        let line = words.len() == 1 && words[0].trim().contains(' ');
        let joined = words.iter().any(|word| OPERATORS.contains(&word.as_str()));

        if first == "CMD" && (line || joined) {
            let pointer = format!("{pointer}/healthCheck/command");
            let message = format!(
                "the health check of `{}` needs a shell, and CMD runs none",
                one.name
            );

            report.add(pointer.clone(), message, "write CMD-SHELL and the line");
            let command = json!(["CMD-SHELL", words.join(" ")]);
            report.fix("run the line in a shell", vec![Edit::Set(pointer, command)]);
        }
    }
}

const OPERATORS: [&str; 4] = ["||", "&&", "|", ";"];
