//! Credentials in docker's `config.json`: passwords, identity tokens, and credential helpers.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::error::ErrorKind;
use crate::reference::{DOCKER_HUB, Reference};

/// The credentials for registries; empty by default.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
    /// Where logins come from before those of docker; never in the file.
    #[serde(skip)]
    source: Option<Arc<dyn LoginSource>>,
}

/// Supplies logins that docker does not have, such as those from AWS credentials.
pub trait LoginSource: std::fmt::Debug + Send + Sync {
    /// Returns the login for a registry, which has just asked for one; `None` leaves it to docker's.
    fn login<'s>(&'s self, registry: &'s str) -> LoginFuture<'s>;
}

/// The result of [`LoginSource::login`].
pub type LoginFuture<'s> = Pin<Box<dyn Future<Output = Option<Login>> + Send + 's>>;

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// A login for a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A user name and a password.
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token, which is exchanged for access tokens.
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
    /// Decodes `user:password` in base64, the form of docker's files and of Amazon ECR.
    pub fn from_basic(encoded: &str) -> Option<Self> {
        let decoded = STANDARD.decode(encoded.trim()).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        // Docker's own parser trims trailing zero bytes as well.
        let (user, password) = (user.to_owned(), password.trim_end_matches('\0').to_owned());
        (!user.is_empty()).then_some(Self::Password { user, password })
    }

    /// Returns the user name, for error messages.
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } => user,
            Self::IdentityToken(_) => "the identity token",
        }
    }
}

impl Credentials {
    /// Returns docker's file for this user: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub fn user_file() -> Option<PathBuf> {
        let folder = env::var_os("DOCKER_CONFIG")
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
        Some(folder?.join("config.json"))
    }

    /// Reads a `config.json`; a missing file has no credentials.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let mut content = Vec::new();
        let opened = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };

        opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(std::io::Error::other("larger than 4 MiB"));
        }
        Ok(serde_json::from_slice(&content)?)
    }

    /// Returns the credentials with a source of logins, which has precedence over the others.
    pub fn with_source(mut self, source: Arc<dyn LoginSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// Returns the login for a registry: of the source, of its helper, of the default store, or in the file.
    pub(crate) async fn login(&self, reference: &Reference) -> Result<Option<Login>, ErrorKind> {
        if let Some(source) = &self.source
            && let Some(login) = source.login(reference.registry()).await
        {
            return Ok(Some(login));
        }

        let names = config_keys(reference);
        let own = names.iter().find_map(|name| self.cred_helpers.get(name));
        if let Some(helper) = own.or(self.creds_store.as_ref()) {
            for name in &names {
                if let Some(login) = run_helper(helper, name).await? {
                    return Ok(Some(login));
                }
            }
        }

        let entry = |name: &String| {
            let name = host_of_key(name);
            self.auths.iter().find(|(key, _)| host_of_key(key) == name)
        };

        Ok(names
            .iter()
            .find_map(entry)
            .and_then(|(_, auth)| auth.login()))
    }
}

/// Returns the keys that docker uses for a registry.
fn config_keys(reference: &Reference) -> Vec<String> {
    match reference.registry() {
        // Docker Hub's historical key, which `docker login` still writes.
        DOCKER_HUB => vec![
            "https://index.docker.io/v1/".to_owned(),
            DOCKER_HUB.to_owned(),
        ],
        registry => vec![registry.to_owned()],
    }
}

/// Returns the host of a key; older files have keys like `https://registry.example/v2/`.
fn host_of_key(name: &str) -> &str {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split('/').next().unwrap_or(name)
}

impl Auth {
    fn login(&self) -> Option<Login> {
        if let Some(token) = self.identitytoken.clone().filter(|token| !token.is_empty()) {
            return Some(Login::IdentityToken(token));
        }

        if let Some(login) = self.auth.as_deref().and_then(Login::from_basic) {
            return Some(login);
        }
        let (user, password) = (self.username.clone()?, self.password.clone()?);
        (!user.is_empty()).then_some(Login::Password { user, password })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperOutput {
    username: String,
    secret: String,
}

/// Runs `docker-credential-HELPER get`; returns `None` if the helper has no login.
async fn run_helper(helper: &str, registry: &str) -> Result<Option<Login>, ErrorKind> {
    let helper_error = |cause: String| ErrorKind::CredentialHelper {
        helper: helper.to_owned(),
        cause,
    };

    // The name comes from a file and becomes part of a program name: no path may be in it.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if helper.is_empty() || !helper.chars().all(is_allowed) {
        return Err(helper_error("invalid helper name".to_owned()));
    }

    // A helper may prompt the user, which would block a non-interactive command for ever.
    let outcome = timeout(HELPER_TIMEOUT, ask_helper(helper, registry)).await;
    let (status, stdout) = outcome
        .map_err(|_| helper_error(format!("no response within {} s", HELPER_TIMEOUT.as_secs())))?
        .map_err(|error| helper_error(error.to_string()))?;

    if !status.success() {
        let message = String::from_utf8_lossy(&stdout);
        // The protocol: helpers print "credentials not found in native keychain" on stdout.
        if message.contains("not found") {
            return Ok(None);
        }
        return Err(helper_error(message.trim().chars().take(200).collect()));
    }

    let login: HelperOutput = serde_json::from_slice(&stdout)
        .map_err(|_| helper_error("its output is not JSON".to_owned()))?;
    Ok(Some(match login.username.as_str() {
        // The helper protocol marks an identity token with this user name.
        "<token>" => Login::IdentityToken(login.secret),
        _ => Login::Password {
            user: login.username,
            password: login.secret,
        },
    }))
}

/// Writes the registry to the helper's stdin and reads its answer. A helper that takes too long ends when the future
/// is dropped.
async fn ask_helper(helper: &str, registry: &str) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;

    if let Some(mut input) = child.stdin.take() {
        // If the helper has exited, its exit code has the reason.
        let _ = input.write_all(registry.as_bytes()).await;
    }

    let mut stdout = Vec::new();
    if let Some(output) = child.stdout.take() {
        output
            .take(MAX_HELPER_OUTPUT)
            .read_to_end(&mut stdout)
            .await?;
    }
    Ok((child.wait().await?, stdout))
}

const MAX_FILE_BYTES: u64 = 4 << 20;
const MAX_HELPER_OUTPUT: u64 = 64 * 1024;
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    async fn login(json: &str, image: &str) -> Option<Login> {
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        credentials.login(&image.parse().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn finds_a_registry_under_every_key_of_docker() {
        let expected = Login::Password {
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
            assert_eq!(login(&json, image).await, Some(expected.clone()), "{key}");
            assert_eq!(login(&json, "other.example/web").await, None);
        }
    }

    #[tokio::test]
    async fn prefers_an_identity_token() {
        let json = r#"{"auths": {"r.example": {"auth": "", "identitytoken": "t"}}}"#;
        let found = login(json, "r.example/web").await;
        assert_eq!(found, Some(Login::IdentityToken("t".to_owned())));
    }

    #[tokio::test]
    async fn rejects_a_helper_name_with_a_path() {
        let json = r#"{"credHelpers": {"r.example": "../../evil"}}"#;
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        let outcome = credentials.login(&"r.example/web".parse().unwrap()).await;
        assert!(matches!(outcome, Err(ErrorKind::CredentialHelper { .. })));
    }

    #[test]
    fn hides_secrets_in_debug_output() {
        let json = r#"{"auths": {"r.example": {"username": "me", "password": "hush"}}}"#;
        let credentials: Credentials = serde_json::from_str(json).unwrap();
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
