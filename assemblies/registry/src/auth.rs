//! Authentication challenges of a registry (RFC 9110, section 11.6.1) and tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::credentials::Login;

/// A challenge in a `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A user name and a password with each request.
    Basic,
    /// A token of a token server.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// Parses the header; returns `None` for any other scheme.
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
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };

        Some(Self::Bearer {
            realm: get("realm")?,
            service: get("service"),
            scope: get("scope"),
        })
    }
}

/// Parses `name="value", name=value`; a comma within quotes is part of the value.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',', '\t']).to_owned();
        // The scope contains commas (`pull,push`), so splitting at commas is not enough.
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };

        parameters.push((name, value.trim().to_owned()));
        rest = after;
    }

    parameters
}

/// The response of a token server.
#[derive(Deserialize)]
pub(crate) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// Returns the token, which has one of two names.
    pub(crate) fn into_token(self) -> Option<String> {
        // OAuth 2.0 has `access_token`; docker's token protocol has `token` and allows both.
        self.token
            .or(self.access_token)
            .filter(|token| is_header(token))
    }
}

/// Returns whether a text is safe in a header.
fn is_header(text: &str) -> bool {
    // Printable ASCII without spaces: tokens are base64 or similar.
    !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

/// Returns the `Authorization` header of a login with a password.
pub(crate) fn basic_authorization(login: &Login) -> Option<String> {
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
    fn parses_quoted_and_unquoted_parameters_in_any_order() {
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
    fn rejects_invalid_challenges() {
        for header in [
            "",
            "Bearer",
            "Bearer realm",
            "Negotiate abc",
            // Without a realm there is no token server to contact.
            "Bearer service=\"x",
            "Bearer ===\"\"",
        ] {
            assert_eq!(Challenge::parse(header), None, "{header}");
        }
    }

    #[test]
    fn rejects_a_token_with_a_line_break() {
        let token = Token {
            token: Some("a\r\nX: b".to_owned()),
            access_token: None,
        };
        assert_eq!(token.into_token(), None);
    }
}
