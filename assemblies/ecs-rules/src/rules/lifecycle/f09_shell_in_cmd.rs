use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F09",
    name: "shell-in-cmd",
    severity: Severity::Warning,
    title: "CMD health check uses shell syntax",
    explanation: "CMD runs the second element as a program and passes the others as arguments. A \
                  command line in one element is the name of a program that does not exist, and || \
                  is an ordinary argument: the check always fails or always passes. CMD-SHELL passes \
                  the line to a shell.",
    source: "ECS API, HealthCheck, field command",
    hint: "Use [\"CMD-SHELL\", \"the whole line\"].",
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
    // The command line is one element after CMD.
    failing: Failing::Change(
        r#""command": ["CMD-SHELL", "curl -f http://localhost/ || exit 1"]"#,
        r#""command": ["CMD", "curl -f http://localhost/ || exit 1"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        let Some((first, words)) = check.command.split_first() else {
            continue;
        };
        // A path with a space is possible but far less likely than a command line.
        let is_line = words.len() == 1 && words[0].trim().contains(' ');
        let has_operator = words.iter().any(|word| OPERATORS.contains(&word.as_str()));

        if first == "CMD" && (is_line || has_operator) {
            let pointer = format!("{pointer}/healthCheck/command");
            let message = format!(
                "the health check of `{}` uses shell syntax, which CMD does not support",
                container.name
            );

            report.add(pointer.clone(), message, "use CMD-SHELL with the line");
            let command = json!(["CMD-SHELL", words.join(" ")]);
            report.fix("use CMD-SHELL", vec![Edit::Set(pointer, command)]);
        }
    }
}

const OPERATORS: [&str; 4] = ["||", "&&", "|", ";"];
