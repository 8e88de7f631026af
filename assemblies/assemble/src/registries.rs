//! The client for registries, with docker's logins and the proxy of the environment.

use std::env;
use std::path::PathBuf;

use registry::{Client, Credentials, Limits, ProxySettings};

use crate::error::CliError;

/// Creates a client from the environment.
pub(crate) fn client() -> Result<Client, CliError> {
    let variable = |name: &str| env::var(name).ok();
    let proxy = ProxySettings::from_variables(variable)
        .map_err(|error| CliError::Usage(error.to_string()))?;

    Client::with_proxy(credentials()?, Limits::default(), &proxy)
        .map_err(|error| CliError::Usage(format!("cannot set up TLS: {error}")))
}

/// Reads Docker's credentials: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
fn credentials() -> Result<Credentials, CliError> {
    let folder = env::var_os("DOCKER_CONFIG")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    let Some(folder) = folder else {
        return Ok(Credentials::default());
    };
    let file = folder.join("config.json");

    Credentials::read(&file).map_err(|source| CliError::File {
        act: "read",
        path: file,
        source,
    })
}
