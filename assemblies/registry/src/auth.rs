//! The challenge of a registry, and the answer to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::credentials::Login;

/// What a registry wants, by its `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A name and a password with every request.
    Basic,
    /// A token, from somewhere else.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the header; a challenge of another kind is none.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }

        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }

        let parameters = parameters(rest);
        let get = |name: &str| {
            let found = parameters
                .iter()
                .find(|(one, _)| one.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };

        Some(Self::Bearer {
            realm: get("realm")?,
            service: get("service"),
            scope: get("scope"),
        })
    }
}

/// `name="value", name=value`; a comma inside of quotes belongs to the value.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };

        parameters.push((name, value.trim().to_owned()));
        rest = after;
    }

    parameters
}

/// A token server's answer.
#[derive(Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// The token under either of its names.
    pub(crate) fn text(self) -> Option<String> {
        self.token
            .or(self.access_token)
            .filter(|token| is_header(token))
    }
}

/// Whether a text may stand in a header.
fn is_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// The `Authorization` of a login with a password.
pub(crate) fn basic(login: &Login) -> Option<String> {
    match login {
        Login::Password { user, password } => Some(format!(
            "Basic {}",
            STANDARD.encode(format!("{user}:{password}"))
        )),
        Login::IdentityToken(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quoted_and_bare_parameters_in_any_order() {
        let header = r#"Bearer service=registry.example, scope="repository:a/b:pull,push",realm="https://auth.example/token""#;
        assert_eq!(
            Challenge::parse(header),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".to_owned(),
                service: Some("registry.example".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            })
        );
        assert_eq!(Challenge::parse("basic realm=x"), Some(Challenge::Basic));
    }

    #[test]
    fn survives_what_is_no_challenge() {
        for header in [
            "",
            "Bearer",
            "Bearer realm",
            "Negotiate abc",
            "Bearer service=\"x",
            "Bearer ===\"\"",
        ] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_token_that_would_end_a_header_is_none() {
        let token = Token {
            token: Some("a\r\nX: b".to_owned()),
            access_token: None,
        };
        assert_eq!(token.text(), None);
    }
}
