//! Commands besides serving, for diagnosis and key generation.

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
        summary: "Show every check of a token (`-` for stdin); exit 1 if one fails",
    },
    Verb {
        name: "explain",
        arguments: "METHOD PATH",
        summary: "Show which rule applies to a request (a path, or a URL for rules with a host); exit 1 if it is rejected",
    },
    Verb {
        name: "api-key",
        arguments: "ID [SCOPE…]",
        summary: "Generate an API key: the key on stderr for its holder, the entry for `api_keys` on stdout",
    },
    Verb {
        name: "identity-jwks",
        arguments: "",
        summary: "Print the key set for verifying `x-auth-token`",
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

/// Runs a verb and returns its exit code.
pub(crate) async fn run(name: &str, arguments: &[String], config: &Config) -> Result<u8, BoxError> {
    if let ("identity-jwks", []) = (name, arguments) {
        let tokens = IdentityTokens::new(config.identity_token.clone())
            .map_err(|error| format!("`identity_token.key` is {error}"))?;
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
    format!("wrong arguments for `{name}`; run `auth-filter {name} {arguments}`")
}
