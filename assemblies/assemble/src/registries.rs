//! The client for registries, with docker's logins and the proxy of the environment.

use std::env;

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

/// Reads docker's credentials; without a home directory there are none.
fn credentials() -> Result<Credentials, CliError> {
    let Some(file) = Credentials::user_file() else {
        return Ok(Credentials::default());
    };

    Credentials::read(&file).map_err(|source| CliError::File {
        act: "read",
        path: file,
        source,
    })
}
