use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I04",
    name: "probe-not-in-image",
    severity: Severity::Error,
    title: "image does not contain the program of the health check",
    explanation: "ECS runs the command of a health check in the container: CMD-SHELL with /bin/sh, CMD directly. \
                  Minimal images contain neither a shell nor curl, so that the check always fails \
                  and the container becomes UNHEALTHY. Of a shell command only the first word is \
                  looked up.",
    source: "ECS API, HealthCheck, field command",
    hint: "Call a program of the image with CMD.",
    images: r#"{ "app:1": { "entryPoint": ["/app"], "files": { "programs": ["/app"] } } }"#,
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
    // The image contains nothing but `/app`.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "healthCheck": { "command": ["CMD-SHELL", "curl -f http://localhost:8080/ || exit 1"] },
      "memory": 128
    }
  ]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let (Some(image), Some(check)) =
            (images.find_inspected(container), &container.health_check)
        else {
            continue;
        };
        let words: Vec<&str> = check.command.iter().map(String::as_str).collect();
        let missing = match words[..] {
            ["CMD", program, ..] => Some(program),
            ["CMD-SHELL", ..] if !image.has_program(container, SHELL) => Some(SHELL),
            ["CMD-SHELL", line, ..] => first_program(line),
            _ => None,
        };
        let Some(missing) = missing.filter(|program| !image.has_program(container, program)) else {
            continue;
        };

        let message = format!(
            "the health check of `{}` needs `{missing}`, which its image does not contain",
            container.name
        );
        let hint = "call a program of the image: [\"CMD\", \"/program\", \"probe\"]";
        report.add(format!("{pointer}/healthCheck/command"), message, hint);
    }
}

/// Returns the program that a shell command begins with, unless it may be part of the shell.
fn first_program(line: &str) -> Option<&str> {
    let word = line.split_whitespace().next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    (word.chars().all(is_plain) && !SHELL_WORDS.contains(&word)).then_some(word)
}

const SHELL: &str = "/bin/sh";

/// Reserved words and built-in utilities (POSIX.1-2024, shell command language, 2.4 and 2.15; XCU 1.7).
const SHELL_WORDS: [&str; 26] = [
    ".", "cd", "case", "command", "echo", "eval", "exec", "exit", "export", "false", "for", "if",
    "kill", "printf", "pwd", "read", "return", "set", "shift", "test", "trap", "true", "type",
    "umask", "until", "while",
];
