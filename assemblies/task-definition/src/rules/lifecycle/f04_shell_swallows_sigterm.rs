use crate::container::ContainerDefinition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F04",
    name: "shell-swallows-sigterm",
    severity: Severity::Warning,
    title: "shell wrapper does not forward SIGTERM",
    explanation: "The first process of a container gets SIGTERM, and as process 1 it ignores what it \
                  has no handler for. A shell that runs several commands stays process 1, does not \
                  pass the signal on, and the program behind it never hears that it should stop: it \
                  is killed with requests in flight once stopTimeout is over. exec lets the program \
                  take the shell's place.",
    source: "Amazon ECS agent, StopContainer; pid_namespaces(7), signals to the init process",
    hint: "Put exec before the last command, or write \"initProcessEnabled\": true, which at \
                  least ends the container at once.",
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
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "entryPoint": ["sh", "-c"],
      "command": ["/prepare && /app serve"],
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if located.definition.is_windows() {
        return;
    }
    for (pointer, one) in containers(located) {
        let linux = one.linux_parameters.as_ref();
        let init = linux.and_then(|linux| linux.init_process_enabled) == Some(true);

        // What is waited for to end does so by itself.
        let short =
            edges(located).any(|edge| edge.target == one.name && waits_for_exit(edge.condition));
        let Some((location, line)) = script(one).filter(|_| !init && !short) else {
            continue;
        };

        if let Some(last) = ignores_sigterm(line) {
            let message = format!(
                "`{}` does not hear SIGTERM behind its shell: it is killed after {} s",
                one.name,
                one.stop_timeout.unwrap_or(30)
            );
            report.add(
                format!("{pointer}/{location}"),
                message,
                format!("put `exec` before `{last}`"),
            );
        }
    }
}

/// The line that a shell gets, and where it stands.
fn script(one: &ContainerDefinition) -> Option<(String, &str)> {
    let entry = one.entry_point.iter().enumerate();
    let command = one.command.iter().enumerate();
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

/// The last command of a line of several, when the shell stays in front of it.
fn ignores_sigterm(line: &str) -> Option<&str> {
    let line = line.trim();
    // `sh -c "…"` inside of `sh -c`: the inner line counts.
    if let Some((shell, rest)) = line.split_once(' ')
        && let Some((option, inner)) = rest.trim_start().split_once(' ')
        && is_shell(shell)
        && is_command(option)
    {
        return ignores_sigterm(inner.trim().trim_matches(['"', '\'']));
    }

    let commands = commands(line);
    let last = *commands.last()?;
    let several = commands.len() > 1;
    let heard = last.starts_with("exec ") || line.contains("trap ");

    (several && !heard).then(|| last.split(' ').next().unwrap_or(last))
}

/// The commands of a line: what stands between `;`, `&`, `|` and line ends outside of quotes.
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
    fn only_a_line_of_several_commands_without_exec_is_deaf() {
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
