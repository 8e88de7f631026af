use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H04",
    name: "no-shell-in-image",
    severity: Severity::Warning,
    title: "shell health check in an image without a shell",
    explanation: "CMD-SHELL passes the line to /bin/sh of the image, and curl or wget must exist in \
                  the image. Images built from scratch and distroless images contain the program \
                  only: the check always fails, and ECS replaces a healthy container. The rule \
                  recognizes well-known images by name.",
    source: "ECS API, HealthCheck, field command; the Dockerfiles of the images",
    hint: "Call the program's own probe with CMD.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "collector",
      "image": "aws-otel-collector:v0.43.0",
      "healthCheck": { "command": ["CMD", "/healthcheck"] },
      "memory": 128
    }
  ]
}"#,
    // The collector's image is built from scratch.
    failing: Failing::Change(
        r#""command": ["CMD", "/healthcheck"]"#,
        r#""command": ["CMD-SHELL", "curl -f http://localhost:13133/ || exit 1"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        let words: Vec<_> = check.command.iter().map(String::as_str).collect();
        let tool = match words[..] {
            ["CMD-SHELL", ..] => "a shell",
            ["CMD", program, ..] if TOOLS.contains(&file_name(program)) => file_name(program),
            // Any other program may be part of the image.
            _ => continue,
        };

        // I04 looks into an image that was read.
        let is_read = report.images().find_inspected(container).is_some();
        if !is_read && report.images().has_no_shell(&container.image) {
            let message = format!(
                "the health check of `{}` needs {tool}, which is not in its image",
                container.name
            );
            let hint = "call the program's own probe: [\"CMD\", \"/program\", \"probe\"]";
            report.add(format!("{pointer}/healthCheck/command"), message, hint);
        }
    }
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

const TOOLS: [&str; 6] = ["bash", "curl", "nc", "sh", "test", "wget"];
