//! What the program can do besides serving: say why.

mod check_token;
mod explain;
mod report;

use chassis::{BoxError, Verb};

use crate::config::Config;

/// The verbs of this component.
pub(crate) const ALL: &[Verb] = &[
    Verb {
        name: "check-token",
        arguments: "TOKEN",
        summary: "Shows every check a token (`-` for stdin) goes through; exit 1 if one fails",
    },
    Verb {
        name: "explain",
        arguments: "METHOD PATH",
        summary: "Shows which rule decides about a request; exit 1 if none lets it through",
    },
];

/// Runs a verb and gives its exit code.
pub(crate) async fn run(name: &str, arguments: &[String], config: &Config) -> Result<u8, BoxError> {
    let report = match (name, arguments) {
        ("check-token", [token]) => check_token::report(token, config).await?,
        ("explain", [method, path]) => explain::report(method, path, config)?,
        _ => return Err(usage(name).into()),
    };
    report.print()?;
    Ok(report.exit_code())
}

fn usage(name: &str) -> String {
    let verb = ALL.iter().find(|verb| verb.name == name);
    let arguments = verb.map_or("", |verb| verb.arguments);
    format!("`{name}` was not given what it needs; write `auth-filter {name} {arguments}`")
}
