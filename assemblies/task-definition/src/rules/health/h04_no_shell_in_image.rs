use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H04",
    name: "no-shell-in-image",
    severity: Severity::Warning,
    title: "shell health check in an image without a shell",
    explanation: "CMD-SHELL hands the line to /bin/sh of the image, and curl or wget must be there \
                  to be run. Images made from scratch and distroless ones hold the program and \
                  nothing else: such a check fails every time, and ECS replaces a container that is \
                  well. Known by the names of well-known images.",
    source: "ECS API, HealthCheck, field command; the Dockerfiles of the images named",
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
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "collector",
      "image": "aws-otel-collector:v0.43.0",
      "healthCheck": { "command": ["CMD-SHELL", "curl -f http://localhost:13133/ || exit 1"] },
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
        let words: Vec<_> = check.command.iter().map(String::as_str).collect();
        let tool = match words[..] {
            ["CMD-SHELL", ..] => "shell",
            ["CMD", program, ..] if TOOLS.contains(&last(program)) => last(program),
            _ => continue,
        };

        if images::has_no_shell(&one.image) {
            let message = format!(
                "the health check of `{}` needs a {tool}, which is not in its image",
                one.name
            );
            let hint = "call the program's own probe: [\"CMD\", \"/program\", \"probe\"]";
            report.add(format!("{pointer}/healthCheck/command"), message, hint);
        }
    }
}

fn last(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

const TOOLS: [&str; 6] = ["bash", "curl", "nc", "sh", "test", "wget"];
