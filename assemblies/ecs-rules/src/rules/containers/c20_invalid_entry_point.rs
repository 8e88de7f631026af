use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C20",
    name: "invalid-entry-point",
    severity: Severity::Error,
    title: "entryPoint does not begin with a program",
    explanation: "The first item of entryPoint is the program, by path or by name, and the others are \
                  its arguments. A folder cannot be run, and a line with arguments in the first item \
                  is the name of a program that does not exist.",
    source: "ECS API, ContainerDefinition, field entryPoint; Dockerfile reference, ENTRYPOINT, exec \
             form",
    hint: "Write the program and each argument as items of their own.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "entryPoint": ["/app", "serve"], "memory": 128 }
  ]
}"#,
    // The program and its argument are one item.
    failing: Failing::Change(r#"["/app", "serve"]"#, r#"["/app serve"]"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(program) = container.entry_point.first() else {
            continue;
        };
        let pointer = format!("{pointer}/entryPoint/0");

        if program.ends_with('/') || matches!(program.as_str(), "." | "..") {
            let message = format!(
                "the entry point of `{}` is the folder `{program}`",
                container.name
            );
            report.add(pointer, message, "write the path of the program");
        } else if program.trim() != program {
            let message = format!(
                "the entry point of `{}` is `{program}`, with a space at its end or beginning",
                container.name
            );
            report.add(pointer, message, format!("write \"{}\"", program.trim()));
        // Folders of Windows contain spaces.
        } else if program.trim().contains(char::is_whitespace) && !program.contains('\\') {
            let message = format!(
                "the entry point of `{}` is one string, so it is taken as the name of one program",
                container.name
            );
            let words: Vec<_> = program
                .split_whitespace()
                .map(|word| format!("\"{word}\""))
                .collect();
            report.add(pointer, message, format!("write [{}]", words.join(", ")));
        }
    }
}
