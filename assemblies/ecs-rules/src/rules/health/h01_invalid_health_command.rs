use diagnostics::{Edit, Severity};
use serde_json::json;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H01",
    name: "invalid-health-command",
    severity: Severity::Error,
    title: "health check command without CMD or CMD-SHELL",
    explanation: "CMD runs a program with arguments; CMD-SHELL passes one line to the shell of the \
                  image. Without one of them ECS interprets the first element as the kind of command \
                  and rejects it.",
    source: "ECS API, HealthCheck, field command",
    hint: "Put \"CMD\" first.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD", "/app", "probe"] },
      "memory": 128
    }
  ]
}"#,
    // The first element is the program.
    failing: Failing::Change(
        r#""command": ["CMD", "/app", "probe"]"#,
        r#""command": ["/app", "probe"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        let pointer = format!("{pointer}/healthCheck/command");
        let words = &check.command;

        match words.first().map(String::as_str) {
            // NONE disables a HEALTHCHECK of the image.
            Some("NONE") if words.len() == 1 => {}
            Some("CMD" | "CMD-SHELL") if words.len() >= 2 => {
                // The shell runs the first argument; the others become positional parameters.
                if words[0] == "CMD-SHELL" && words.len() > 2 {
                    let message = format!(
                        "the health check of `{}` has more than one argument after CMD-SHELL",
                        container.name
                    );
                    report.warn(
                        pointer.clone(),
                        message,
                        "join the words after CMD-SHELL into one",
                    );
                    let line = words[1..].join(" ");
                    let edits = vec![Edit::Set(pointer, json!(["CMD-SHELL", line]))];
                    report.fix("join the words into one line", edits);
                }
            }
            Some("CMD" | "CMD-SHELL") | None => {
                let message = format!("the health check of `{}` has no command", container.name);
                report.add(
                    pointer,
                    message,
                    "write [\"CMD\", \"/program\", \"argument\"]",
                );
            }
            Some(first) => {
                let message = format!(
                    "the health check of `{}` begins with `{first}`",
                    container.name
                );
                // A space in the first element indicates a command line.
                let kind = if first.contains(' ') {
                    "CMD-SHELL"
                } else {
                    "CMD"
                };

                let title = format!("put \"{kind}\" first");
                report.add(pointer.clone(), message, title.clone());
                let command: Vec<_> = [kind]
                    .into_iter()
                    .chain(words.iter().map(String::as_str))
                    .collect();
                report.fix(title, vec![Edit::Set(pointer, json!(command))]);
            }
        }
    }
}
