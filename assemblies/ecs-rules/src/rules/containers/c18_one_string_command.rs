use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C18",
    name: "one-string-command",
    severity: Severity::Warning,
    title: "command line in one string",
    explanation: "Each item of command is one argument, and no shell splits it. A whole command line \
                  in one item is the name of a program with spaces, and the container stops with \
                  \"no such file or directory\". Only an image whose entry point is sh -c accepts it.",
    source: "ECS API, ContainerDefinition, field command; Dockerfile reference, CMD, exec form",
    hint: "Write each word as an item of its own.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "command": ["python", "manage.py", "runserver"], "memory": 128 }
  ]
}"#,
    // One item in place of three.
    failing: Failing::Change(
        r#"["python", "manage.py", "runserver"]"#,
        r#"["python manage.py runserver"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let [line, others @ ..] = container.command.as_slice() else {
            continue;
        };
        // The first of several items may be an argument with spaces, unless it is the call of a shell.
        if !others.is_empty() && !is_shell_call(line) {
            continue;
        }
        // I03 knows the entry point of an image that was read; an option may contain spaces.
        let is_known = !container.entry_point.is_empty()
            || report.images().find_inspected(container).is_some();
        let line = line.trim();
        if is_known || line.starts_with('-') || !line.contains(char::is_whitespace) {
            continue;
        }

        let message = format!(
            "the command of `{}` is one string, so it is taken as the name of one program",
            container.name
        );
        report.add(format!("{pointer}/command/0"), message, suggest(line));
    }
}

/// Returns whether an item is a shell together with its option, such as `sh -c`.
fn is_shell_call(item: &str) -> bool {
    let mut words = item.split_whitespace();
    let shell = words.next().unwrap_or_default();
    let name = shell.rsplit('/').next().unwrap_or_default();
    matches!(name, "sh" | "ash" | "bash" | "dash")
        && words.next().is_some_and(|option| option.starts_with('-'))
}

fn suggest(line: &str) -> String {
    // Words of a shell must stay one string.
    if line.contains(|c: char| "|&;<>()$`\\\"'*?#~".contains(c)) {
        return "write [\"sh\", \"-c\", \"…\"] if the image has a shell".to_owned();
    }
    let words: Vec<String> = line
        .split_whitespace()
        .map(|word| format!("\"{word}\""))
        .collect();
    format!("write [{}]", words.join(", "))
}
