//! What docker's `config.json` knows: passwords, tokens, and the helpers that keep them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::Problem;
use crate::reference::{DOCKER_HUB, Reference};

/// Who may be asked for what; nobody, by default.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// How to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that is good for getting others.
    IdentityToken(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("registries", &self.auths.keys().collect::<Vec<_>>())
            .field("helpers", &self.cred_helpers)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, …)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

impl Login {
    /// As whom.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } => user,
            Self::IdentityToken(_) => "the token of a login",
        }
    }
}

impl Credentials {
    /// Reads a `config.json`; one that is not there knows nobody.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// The login for a registry: its own helper's, the store's, or what stands in the file.
    pub(crate) async fn login(&self, reference: &Reference) -> Result<Option<Login>, Problem> {
        let names = names(reference);
        let own = names.iter().find_map(|name| self.cred_helpers.get(name));
        if let Some(helper) = own.or(self.creds_store.as_ref()) {
            for name in &names {
                if let Some(login) = ask(helper, name).await? {
                    return Ok(Some(login));
                }
            }
        }

        let known = |name: &String| {
            let name = bare(name);
            self.auths.iter().find(|(key, _)| bare(key) == name)
        };

        Ok(names
            .iter()
            .find_map(known)
            .and_then(|(_, auth)| auth.login()))
    }
}

/// The names under which docker keeps a registry.
fn names(reference: &Reference) -> Vec<String> {
    match reference.registry() {
        DOCKER_HUB => vec![
            "https://index.docker.io/v1/".to_owned(),
            DOCKER_HUB.to_owned(),
        ],
        registry => vec![registry.to_owned()],
    }
}

/// Older files have keys like `https://registry.example/v2/`.
fn bare(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split('/').next().unwrap_or(name)
}

impl Auth {
    fn login(&self) -> Option<Login> {
        if let Some(token) = self.identitytoken.clone().filter(|token| !token.is_empty()) {
            return Some(Login::IdentityToken(token));
        }

        let decoded = self
            .auth
            .as_ref()
            .and_then(|auth| STANDARD.decode(auth.trim()).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = match pair {
            Some((user, password)) => (user.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (self.username.clone()?, self.password.clone()?),
        };

        (!user.is_empty()).then_some(Login::Password { user, password })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Runs `docker-credential-HELPER get`; none when it knows nobody.
async fn ask(helper: &str, registry: &str) -> Result<Option<Login>, Problem> {
    let failed = |cause: String| Problem::Helper {
        helper: helper.to_owned(),
        cause,
    };

    // The name comes from a file and becomes part of a program's.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if helper.is_empty() || !helper.chars().all(plain) {
        return Err(failed("that is no name of a helper".to_owned()));
    }

    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;

    let (input, output) = (child.stdin.take(), child.stdout.take());
    let exchange = async {
        if let Some(mut input) = input {
            // A helper that has gone away says why by its exit code.
            let _ = input.write_all(registry.as_bytes()).await;
        }

        let mut answer = Vec::new();
        if let Some(output) = output {
            output.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
        }
        Ok::<_, std::io::Error>((child.wait().await?, answer))
    };

    let outcome = timeout(PATIENCE, exchange).await;
    let (status, answer) = outcome
        .map_err(|_| failed(format!("no answer within {} s", PATIENCE.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;

    if !status.success() {
        let said = String::from_utf8_lossy(&answer);
        if said.contains("not found") {
            return Ok(None);
        }
        return Err(failed(said.trim().chars().take(200).collect()));
    }

    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|_| failed("its answer is not JSON".to_owned()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::IdentityToken(answer.secret),
        _ => Login::Password {
            user: answer.username,
            password: answer.secret,
        },
    }))
}

const LONGEST_ANSWER: u64 = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    async fn login(json: &str, image: &str) -> Option<Login> {
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        credentials.login(&image.parse().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn finds_a_registry_under_every_name_that_docker_wrote() {
        let wanted = Login::Password {
            user: "me".to_owned(),
            password: "a:b".to_owned(),
        };
        let auth = STANDARD.encode("me:a:b");

        for (key, image) in [
            ("r.example", "r.example/web"),
            ("https://r.example/v2/", "r.example/web"),
            ("https://index.docker.io/v1/", "web"),
            ("docker.io", "me/web"),
            ("localhost:5000", "localhost:5000/web"),
        ] {
            let json = format!(r#"{{"auths": {{"{key}": {{"auth": "{auth}"}}}}}}"#);
            assert_eq!(login(&json, image).await, Some(wanted.clone()), "{key}");
            assert_eq!(login(&json, "other.example/web").await, None);
        }
    }

    #[tokio::test]
    async fn a_token_of_a_login_wins() {
        let json = r#"{"auths": {"r.example": {"auth": "", "identitytoken": "t"}}}"#;
        let found = login(json, "r.example/web").await;
        assert_eq!(found, Some(Login::IdentityToken("t".to_owned())));
    }

    #[tokio::test]
    async fn a_helper_with_a_path_for_a_name_is_not_run() {
        let json = r#"{"credHelpers": {"r.example": "../../evil"}}"#;
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        let outcome = credentials.login(&"r.example/web".parse().unwrap()).await;
        assert!(matches!(outcome, Err(Problem::Helper { .. })));
    }

    #[test]
    fn secrets_do_not_print() {
        let json = r#"{"auths": {"r.example": {"username": "me", "password": "hush"}}}"#;
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
