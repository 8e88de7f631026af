//! What the program can do besides serving: say why.

mod api_key;
mod check_token;
mod explain;
mod report;

use std::io::Write;

use chassis::{BoxError, Verb};

use crate::config::Config;
use crate::identity_token::IdentityTokens;

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
        summary: "Shows which rule decides about a request (a path or an address with a host); exit 1 if none lets it through",
    },
    Verb {
        name: "api-key",
        arguments: "ID [SCOPE…]",
        summary: "Makes an API key: the key for its holder on stderr, the entry for `api_keys` on stdout",
    },
    Verb {
        name: "identity-jwks",
        arguments: "",
        summary: "Prints the key set with which the app checks `x-auth-token`",
    },
];

/// Runs a verb that needs no settings.
pub(crate) fn run_without_settings(
    name: &str,
    arguments: &[String],
) -> Option<Result<u8, BoxError>> {
    match (name, arguments) {
        ("api-key", [id, scopes @ ..]) => Some(api_key::generate(id, scopes)),
        _ => None,
    }
}

/// Runs a verb and gives its exit code.
pub(crate) async fn run(name: &str, arguments: &[String], config: &Config) -> Result<u8, BoxError> {
    if let ("identity-jwks", []) = (name, arguments) {
        let tokens = IdentityTokens::new(config.identity_token.clone());
        let tokens = tokens.map_err(|error| format!("`identity_token.key` is {error}"))?;
        writeln!(std::io::stdout(), "{}", tokens.jwks())?;
        return Ok(0);
    }

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
