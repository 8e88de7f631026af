use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F04",
    name: "shell-swallows-sigterm",
    severity: Severity::Warning,
    title: "shell wrapper does not forward SIGTERM",
    explanation: "The first process of a container receives SIGTERM, and as PID 1 it ignores signals \
                  without a handler. A shell that runs several commands stays PID 1 and does not \
                  forward the signal, so the program is killed with requests in flight when \
                  stopTimeout expires. exec replaces the shell with the program.",
    source: "Amazon ECS agent, StopContainer; pid_namespaces(7), signals to the init process",
    hint: "Put exec before the last command, or set \"initProcessEnabled\": true, which ends \
                  the container at once.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "entryPoint": ["sh", "-c"],
      "command": ["/prepare && exec /app serve"],
      "memory": 128
    }
  ]
}"#,
    // Without exec, sh stays PID 1.
    failing: Failing::Change(
        r#""command": ["/prepare && exec /app serve"]"#,
        r#""command": ["/prepare && /app serve"]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if located.definition.is_windows() {
        return;
    }
    for (pointer, container) in containers(located) {
        let linux = container.linux_parameters.as_ref();
        // tini, which ECS starts as PID 1, forwards signals to the shell.
        let init = linux.and_then(|linux| linux.init_process_enabled) == Some(true);

        // An awaited container exits by itself.
        let exits = edges(located)
            .any(|edge| edge.target == container.name && waits_for_exit(edge.condition));
        let Some((location, line)) = script(container).filter(|_| !init && !exits) else {
            continue;
        };

        if let Some(last) = ignores_sigterm(line) {
            let message = format!(
                "`{}` does not receive SIGTERM from its shell and is killed after {} s",
                container.name,
                container.stop_timeout.unwrap_or(30)
            );
            report.add(
                format!("{pointer}/{location}"),
                message,
                format!("put `exec` before `{last}`"),
            );
        }
    }
}

/// Returns the line that a shell runs, and its field.
fn script(container: &ContainerDefinition) -> Option<(String, &str)> {
    let entry = container.entry_point.iter().enumerate();
    let command = container.command.iter().enumerate();
    let words: Vec<_> = entry
        .map(|(index, word)| (format!("entryPoint/{index}"), word.as_str()))
        .chain(command.map(|(index, word)| (format!("command/{index}"), word.as_str())))
        .collect();
    let [(_, shell), (_, option), (location, line), ..] = &words[..] else {
        return None;
    };
    (is_shell(shell) && is_command(option)).then(|| (location.clone(), *line))
}

fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    matches!(name, "sh" | "ash" | "bash" | "dash")
}

fn is_command(option: &str) -> bool {
    option.starts_with('-') && option.ends_with('c')
}

/// Returns the last of several commands, if the shell stays PID 1 and does not forward signals.
fn ignores_sigterm(line: &str) -> Option<&str> {
    let line = line.trim();
    // For `sh -c "…"` inside `sh -c` the inner line decides.
    if let Some((shell, rest)) = line.split_once(' ')
        && let Some((option, inner)) = rest.trim_start().split_once(' ')
        && is_shell(shell)
        && is_command(option)
    {
        return ignores_sigterm(inner.trim().trim_matches(['"', '\'']));
    }

    let commands = commands(line);
    let last = *commands.last()?;
    // A shell usually replaces itself with a single command.
    let has_several = commands.len() > 1;
    let forwards_signals = last.starts_with("exec ") || line.contains("trap ");

    (has_several && !forwards_signals).then(|| last.split(' ').next().unwrap_or(last))
}

/// Splits a line at `;`, `&`, `|` and line ends outside quotes.
fn commands(line: &str) -> Vec<&str> {
    let mut quote = None;
    let parts = line.split(|c: char| match quote {
        Some(open) => {
            if c == open {
                quote = None;
            }
            false
        }
        None if matches!(c, '"' | '\'') => {
            quote = Some(c);
            false
        }
        None => matches!(c, ';' | '&' | '|' | '\n'),
    });

    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::ignores_sigterm;

    #[test]
    fn only_several_commands_without_exec_ignore_sigterm() {
        for (line, expected) in [
            ("node server.js", None),
            ("/prepare && exec node server.js", None),
            ("/prepare && node server.js", Some("node")),
            ("/prepare; node server.js;", Some("node")),
            ("echo 'a && b'", None),
            ("trap 'kill $p' TERM; node server.js & p=$!; wait", None),
            (
                "/bin/sh -c \"echo hi > /page && httpd-foreground\"",
                Some("httpd-foreground"),
            ),
            ("", None),
        ] {
            assert_eq!(ignores_sigterm(line), expected, "{line}");
        }
    }
}
