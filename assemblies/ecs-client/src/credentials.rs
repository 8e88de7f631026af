//! Credentials for a task that runs locally.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::login::{Login, Origin, Session};

/// The source of a task's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// The user's credentials: of the environment, or of a profile.
    Profile(Option<String>),
    /// A role that the user may assume, by its ARN.
    Role(String),
}

/// Provides credentials and renews them before they expire.
#[derive(Debug, Clone)]
pub struct TaskCredentials {
    provider: SharedCredentialsProvider,
    origin: Origin,
    last: Arc<Mutex<Option<Credentials>>>,
}

impl TaskCredentials {
    /// Creates a provider; does not call AWS yet.
    ///
    /// # Errors
    ///
    /// Fails if the environment or the profile has no credentials or, for a role, no region.
    pub async fn from_source(source: &CredentialSource) -> Result<Self, String> {
        let profile = match source {
            CredentialSource::Profile(name) => name.clone(),
            CredentialSource::Role(_) => None,
        };
        let login = Login {
            profile,
            ..Login::default()
        };

        let session = login.load().await.map_err(|error| error.to_string())?;
        let provider = match source {
            CredentialSource::Profile(_) => session.provider.clone(),
            CredentialSource::Role(arn) => assume(arn, &session)
                .await
                .map_err(|error| error.to_string())?,
        };

        Ok(Self {
            provider,
            origin: session.origin,
            last: Arc::default(),
        })
    }

    /// Returns credentials: access key, secret, token, and expiration. Credentials without an expiration get one,
    /// so that the caller renews them.
    ///
    /// # Errors
    ///
    /// Fails if AWS or the profile provides none; returns the message.
    pub async fn get(&self) -> Result<(String, String, String, SystemTime), String> {
        // Held across the await, so that concurrent callers share one request.
        let mut last = self.last.lock().await;
        let soon = SystemTime::now() + RENEW_BEFORE;
        let valid = last
            .take()
            .filter(|credentials| credentials.expiry().is_some_and(|end| end > soon));
        let credentials = match valid {
            Some(credentials) => credentials,
            None => self
                .provider
                .provide_credentials()
                .await
                .map_err(|error| self.origin.explain(&error).to_string())?,
        };

        let end = credentials
            .expiry()
            .unwrap_or_else(|| SystemTime::now() + DEFAULT_LIFETIME);
        let token = credentials.session_token().unwrap_or_default().to_owned();
        let parts = (
            credentials.access_key_id().to_owned(),
            credentials.secret_access_key().to_owned(),
            token,
            end,
        );

        *last = Some(credentials);
        Ok(parts)
    }
}

async fn assume(arn: &str, session: &Session) -> Result<SharedCredentialsProvider, Error> {
    // The session name appears in CloudTrail.
    let role = AssumeRoleProvider::builder(arn)
        .session_name("assemble-up")
        .region(session.region()?.clone())
        .configure(&session.config);
    Ok(SharedCredentialsProvider::new(role.build().await))
}

/// The SDKs renew credentials five minutes before they expire, so these must be renewed earlier.
const RENEW_BEFORE: Duration = Duration::from_mins(10);
const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);
