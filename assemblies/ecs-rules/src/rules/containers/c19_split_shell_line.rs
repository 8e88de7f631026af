use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C19",
    name: "split-shell-line",
    severity: Severity::Error,
    title: "sh -c with a command line of several items",
    explanation: "sh -c runs the one item after -c, and stops with an error if there is none. Further \
                  items become $0, $1 … of that script and \
                  are not part of the command line: sh -c echo hello prints an empty line.",
    source: "POSIX.1-2024, sh, option -c",
    hint: "Write the whole line as one item.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "entryPoint": ["sh", "-c"], "command": ["echo hello world"], "memory": 128 }
  ]
}"#,
    // Three items in place of one.
    failing: Failing::Change(r#"["echo hello world"]"#, r#"["echo", "hello", "world"]"#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        if let Some(at) = find_missing_script(container) {
            let message = format!("the shell of `{}` has no script after -c", container.name);
            let hint = "add the command line as one item after -c";
            report.add(format!("{pointer}/{at}"), message, hint);
            continue;
        }
        if let Some((location, script, ignored)) = find_ignored(container) {
            let message = format!(
                "the shell of `{}` runs `{script}` and ignores `{ignored}`",
                container.name
            );
            let hint = "write the whole line as one item after -c";
            report.add(format!("{pointer}/{location}"), message, hint);
        }
    }
}

/// Returns the field that ends with `sh -c`. An entry point of the definition replaces the command of the image too.
fn find_missing_script(container: &ContainerDefinition) -> Option<&'static str> {
    let words: Vec<&str> = container
        .entry_point
        .iter()
        .chain(&container.command)
        .map(String::as_str)
        .collect();
    let [shell, option] = words.as_slice() else {
        return None;
    };
    let field = if container.command.is_empty() {
        "entryPoint"
    } else {
        "command"
    };
    is_script_call(shell, option).then_some(field)
}

fn is_script_call(shell: &str, option: &str) -> bool {
    let name = shell.rsplit('/').next().unwrap_or_default();
    let is_shell = matches!(name, "sh" | "ash" | "bash" | "dash");
    is_shell && option.starts_with('-') && option.ends_with('c')
}

/// Returns the field with the script of a shell, the script, and the first item that it ignores.
fn find_ignored(container: &ContainerDefinition) -> Option<(String, &str, &str)> {
    let entry = container.entry_point.iter().enumerate();
    let command = container.command.iter().enumerate();
    let words: Vec<_> = entry
        .map(|(index, word)| (format!("entryPoint/{index}"), word.as_str()))
        .chain(command.map(|(index, word)| (format!("command/{index}"), word.as_str())))
        .collect();
    let [
        (_, shell),
        (_, option),
        (location, script),
        (_, ignored),
        ..,
    ] = words.as_slice()
    else {
        return None;
    };

    // A script that uses its parameters wants them.
    let is_script = is_script_call(shell, option) && !script.contains('$');
    is_script.then(|| (location.clone(), *script, *ignored))
}
