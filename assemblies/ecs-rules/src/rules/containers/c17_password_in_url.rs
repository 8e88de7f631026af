use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C17",
    name: "password-in-url",
    severity: Severity::Warning,
    title: "password inside a URL in plain text",
    explanation: "A URL such as postgres://user:password@host or …?password=…, and a connection string \
                  such as Server=db;Password=…, contain a credential. Like every variable and command it can be read with DescribeTaskDefinition, and old revisions \
                  are kept.",
    source: "ECS API, ContainerDefinition, field environment; RFC 3986, section 3.2.1",
    hint: "Move the whole URL to secrets.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "DATABASE_URL", "value": "postgres://web@db.internal:5432/web" }],
      "memory": 128
    }
  ]
}"#,
    // The password follows the user.
    failing: Failing::Change("postgres://web@", "postgres://web:hunter2@"),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        for (index, variable) in container.environment.iter().enumerate() {
            if has_password(&variable.value) {
                let message = format!("the URL in `{}` contains a password", variable.name);
                let hint = "move it to secrets, with valueFrom a secret's ARN";
                report.add(
                    format!("{pointer}/environment/{index}/value"),
                    message,
                    hint,
                );
            }
        }

        let entry = container.entry_point.iter().enumerate();
        let words = entry.map(|(index, word)| (format!("entryPoint/{index}"), word));
        let command = container.command.iter().enumerate();
        let command = command.map(|(index, word)| (format!("command/{index}"), word));
        let health = container.health_check.iter();
        let health = health.flat_map(|check| check.command.iter().enumerate());
        let health = health.map(|(index, word)| (format!("healthCheck/command/{index}"), word));
        for (at, word) in words.chain(command).chain(health) {
            if has_password(word) {
                let message = format!(
                    "the command of `{}` contains a URL with a password",
                    container.name
                );
                let hint = "pass it as a variable from secrets";
                report.add(format!("{pointer}/{at}"), message, hint);
            }
        }
    }
}

/// Returns whether a text contains a URL or a connection string with a literal password.
fn has_password(text: &str) -> bool {
    has_user_password(text) || has_password_parameter(text)
}

/// Returns whether the query of a URL, or a connection string, sets a password: `?password=`, `;Pwd=`.
fn has_password_parameter(text: &str) -> bool {
    // Elsewhere `password=` is not a parameter, but for example an option of a program.
    let is_url = text.contains("://") || text.starts_with("jdbc:");
    let mut pairs = text.split(['?', '&', ';']);
    let is_string = pairs.next().is_some_and(|first| first.contains('=')) && text.contains(';');
    let is_dsn = text.contains("host=") && text.contains("password=");
    if !is_url && !is_string && !is_dsn {
        return false;
    }

    let separators = |c: char| "?&;".contains(c) || (is_dsn && c == ' ');
    let mut pairs = text
        .split(separators)
        .filter_map(|pair| pair.split_once('='));
    pairs.any(|(name, value)| {
        let name = name.trim().to_ascii_lowercase();
        PARAMETERS.contains(&name.as_str()) && is_literal(value.trim())
    })
}

const PARAMETERS: [&str; 9] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "accountkey",
];

/// Returns whether a password is written out. A reference such as ${PASSWORD} or %s is filled in by the program.
fn is_literal(password: &str) -> bool {
    !password.is_empty() && !password.starts_with(['$', '{', '<', '%', '*', '[', ':'])
}

/// Returns whether a text contains a URL with a user and a literal password.
fn has_user_password(text: &str) -> bool {
    text.match_indices("://").any(|(position, separator)| {
        let rest = &text[position + separator.len()..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let Some((user, _)) = authority.rsplit_once('@') else {
            return false;
        };
        let is_token = TOKENS.iter().any(|prefix| user.starts_with(prefix));
        is_token
            || user
                .split_once(':')
                .is_some_and(|(_, password)| is_literal(password))
    })
}

/// The beginnings of access tokens of GitHub and GitLab, which are the user of a URL.
const TOKENS: [&str; 4] = ["ghp_", "gho_", "github_pat_", "glpat-"];

#[cfg(test)]
mod tests {
    use super::has_password;

    #[test]
    fn only_a_literal_password_counts() {
        for (text, expected) in [
            ("postgres://web:hunter2@db/web", true),
            ("--url=redis://:hunter2@cache:6379", true),
            ("postgres://web@db/web", false),
            ("postgres://web:${PASSWORD}@db/web", false),
            ("http://localhost:8080/a@b", false),
            ("http://localhost:8080", false),
            ("user:pass@host", false),
        ] {
            assert_eq!(has_password(text), expected, "{text}");
        }
    }
}
