use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C21",
    name: "shell-syntax",
    severity: Severity::Warning,
    title: "shell syntax in a command without a shell",
    explanation: "ECS runs a command without a shell. Operators such as && and >, quotes around an \
                  item, ~ and $VARIABLE reach the program as they are. A command for a shell is one \
                  item after sh -c.",
    source: "ECS API, ContainerDefinition, field command; Dockerfile reference, CMD, exec form",
    hint: "Write [\"sh\", \"-c\", \"…\"], or remove the syntax.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "command": ["/app", "--port", "8080"], "memory": 128 }
  ]
}"#,
    // No shell replaces the variable.
    failing: Failing::Change(r#""8080""#, r#""$PORT""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        if runs_shell(container) {
            continue;
        }
        let entry = container.entry_point.iter().enumerate();
        let words = entry.map(|(index, word)| (format!("entryPoint/{index}"), word));
        let command = container.command.iter().enumerate();
        let command = command.map(|(index, word)| (format!("command/{index}"), word));

        // One item shows the mistake; the others of the command follow from it.
        let mut found = words
            .chain(command)
            .filter_map(|(at, word)| Some((at, find_syntax(word)?)));
        if let Some((at, what)) = found.next() {
            let message = format!(
                "the command of `{}` contains {what}, but no shell runs it",
                container.name
            );
            let hint = "write [\"sh\", \"-c\", \"…\"] if the image has a shell, or remove it";
            report.add(format!("{pointer}/{at}"), message, hint);
        }
    }
}

/// Returns whether a word names a shell or a program that interprets such syntax itself.
fn runs_shell(container: &ContainerDefinition) -> bool {
    let mut words = container.entry_point.iter().chain(&container.command);
    words.any(|word| {
        // C18 and C20 report a whole command line in one item.
        word.split_whitespace().any(|word| {
            let name = word.rsplit(['/', '\\']).next().unwrap_or_default();
            let name = name.trim_end_matches(".exe");
            SHELLS.contains(&name)
        })
    })
}

fn find_syntax(word: &str) -> Option<String> {
    if OPERATORS.contains(&word) {
        return Some(format!("the operator `{word}`"));
    }
    if word.starts_with("~/") {
        return Some(format!("`{word}`"));
    }
    let is_quoted =
        |quote: char| word.len() > 2 && word.starts_with(quote) && word.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        return Some(format!("quotes around {word}"));
    }
    let name = word.strip_prefix('$')?;
    let is_variable = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_variable.then(|| format!("the variable `{word}`"))
}

const OPERATORS: [&str; 11] = [
    "&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1", "1>&2",
];

const SHELLS: [&str; 10] = [
    "sh",
    "ash",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "busybox",
    "cmd",
    "powershell",
    "pwsh",
];
