//! The client for registries, with docker's logins, those from AWS credentials, and the proxy of the environment.

use std::sync::Arc;

use registry::{Client, LoginSource, SetupError};

use crate::error::CliError;
use crate::ui::Ui;

#[cfg(feature = "aws")]
mod ecr;
mod logins;

pub(crate) use logins::Apis;

/// Creates a client from the environment, and the APIs beside the registry protocol; both share their logins.
pub(crate) fn client(ui: &Ui) -> Result<(Client, Arc<Apis>), CliError> {
    let apis = Arc::new(Apis::new(ui));
    let client = Client::from_environment(Some(apis.clone()))?;
    Ok((client, apis))
}

/// Returns the logins for a client that is created elsewhere.
pub(crate) fn logins(ui: &Ui) -> Arc<dyn LoginSource> {
    Arc::new(Apis::new(ui))
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<registry::Error> for CliError {
    fn from(error: registry::Error) -> Self {
        // Exit code 3 is for what a registry refuses; a damaged layout or an invalid reference is a usage error.
        if error.kind.is_local() {
            Self::Usage(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}

impl From<registry::ReadImageError> for CliError {
    fn from(error: registry::ReadImageError) -> Self {
        if error.is_local() {
            Self::Usage(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }
}
