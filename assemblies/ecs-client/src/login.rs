//! Logs in: the profile, region and endpoint of a client, and its credentials.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvidedCredentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::{Error, causes};
use crate::profile::{Profile, ProfileKind};

/// The profile, region and endpoint to use instead of those of the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The profile; its credentials take precedence over those of the environment, as with the AWS CLI.
    pub profile: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The endpoint, for an emulator.
    pub endpoint_url: Option<String>,
}

/// A configuration whose credentials were provided once.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) config: SdkConfig,
    pub(crate) region: Option<Region>,
    pub(crate) origin: Origin,
    pub(crate) provider: SharedCredentialsProvider,
}

/// Where the credentials come from, for messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    profile: Option<Profile>,
}

impl Login {
    /// Loads the configuration and gets credentials, so that a login that fails does so before any call.
    pub(crate) async fn connect(&self) -> Result<Session, Error> {
        let session = self.load().await?;
        session.region()?;
        session
            .provider
            .provide_credentials()
            .await
            .map_err(|error| session.origin.explain(&error))?;

        Ok(session)
    }

    /// Loads the configuration; gets no credentials yet.
    pub(crate) async fn load(&self) -> Result<Session, Error> {
        // Before the SDK, which falls back to other credentials if the profile does not exist.
        let profile = Profile::read(self.profile.as_deref()).await?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));

        if let Some(name) = &self.profile {
            loader = loader.profile_name(name);
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }

        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }

        let config = loader.load().await;
        let region = config.region().cloned();
        let chain = match &self.profile {
            Some(name) => Some(from_profile(name, &config)),
            None => config.credentials_provider(),
        };

        let missing = || Error::MissingCredentials {
            detail: "the SDK has no provider of credentials".to_owned(),
        };
        let provider = SharedCredentialsProvider::new(CachedCredentials {
            provider: chain.ok_or_else(missing)?,
            last: Arc::default(),
        });

        // One provider for all clients, so that a `credential_process` runs once.
        let config = config
            .into_builder()
            .credentials_provider(provider.clone())
            .build();

        Ok(Session {
            config,
            region,
            origin: Origin { profile },
            provider,
        })
    }
}

/// Returns the provider of a named profile. The SDK's default chain prefers the keys of the environment even then.
fn from_profile(name: &str, config: &SdkConfig) -> SharedCredentialsProvider {
    let mut provider = ProviderConfig::without_region()
        .with_region(config.region().cloned())
        .with_timeout_config(timeouts());
    if let Some(client) = config.http_client() {
        provider = provider.with_http_client(client);
    }

    let profile = ProfileFileCredentialsProvider::builder()
        .configure(&provider)
        .profile_name(name)
        .build();
    SharedCredentialsProvider::new(profile)
}

impl Session {
    /// Returns the region. The SDK reports a missing one only at the first call, and less clearly.
    pub(crate) fn region(&self) -> Result<&Region, Error> {
        self.region.as_ref().ok_or(Error::MissingRegion)
    }

    /// Returns the endpoint that is configured for an API, if it is not that of the region; `service` is its name in
    /// the configuration.
    pub(crate) fn endpoint_url(&self, service: &str) -> Option<String> {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        let chosen = self.config.endpoint_url().map(str::to_owned);
        let configured = || self.config.service_config()?.load_config(key);

        // An endpoint of one service is more specific than that of all services.
        if self.config.get_origin("endpoint_url").is_client_config() {
            return chosen.or_else(configured);
        }
        configured().or(chosen)
    }
}

impl Origin {
    /// Converts an error of the providers of credentials.
    pub(crate) fn explain(&self, error: &CredentialsError) -> Error {
        let detail = causes(error);
        // IAM Identity Center knows the user, but the role is not assigned: logging in again changes nothing.
        let is_forbidden = detail.contains("ForbiddenException");
        match (&self.profile, error) {
            (None, CredentialsError::CredentialsNotLoaded(_)) => {
                Error::MissingCredentials { detail }
            }
            (Some(profile), _) if profile.kind == ProfileKind::Sso && is_forbidden => {
                Error::Login {
                    origin: self.to_string(),
                    advice: "check `sso_account_id` and `sso_role_name`, and that the role is assigned to you"
                        .to_owned(),
                    detail,
                }
            }
            // The SDK's message is about features of its crates.
            (Some(profile), _) if profile.kind == ProfileKind::Login => Error::Login {
                origin: self.to_string(),
                advice: self.advice(),
                detail: "profiles with `login_session` are not supported".to_owned(),
            },
            _ => Error::Login {
                origin: self.to_string(),
                advice: self.advice(),
                detail,
            },
        }
    }

    /// Returns what to do if the credentials do not work.
    pub(crate) fn advice(&self) -> String {
        self.profile.as_ref().map_or_else(
            || "log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID".to_owned(),
            Profile::advice,
        )
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.profile {
            Some(profile) => write!(f, "profile `{}`", profile.name),
            None => f.write_str("the environment"),
        }
    }
}

/// Keeps credentials until they expire. A `credential_process` may ask its user for a code each time.
#[derive(Debug)]
struct CachedCredentials {
    provider: SharedCredentialsProvider,
    last: Arc<Mutex<Option<Credentials>>>,
}

impl CachedCredentials {
    async fn get(&self) -> Result<Credentials, CredentialsError> {
        // Held across the await, so that concurrent calls share one request.
        let mut last = self.last.lock().await;
        let soon = SystemTime::now() + RENEW_BEFORE;
        let valid = |credentials: &Credentials| credentials.expiry().is_none_or(|end| end > soon);
        if let Some(credentials) = last.as_ref().filter(|last| valid(last)) {
            return Ok(credentials.clone());
        }

        // Dropping the future at the limit also ends the wait for a process that hangs.
        let provided = timeout(LOGIN_LIMIT, self.provider.provide_credentials())
            .await
            .map_err(|_| CredentialsError::provider_timed_out(LOGIN_LIMIT))?;
        provided.inspect(|credentials| *last = Some(credentials.clone()))
    }
}

impl ProvideCredentials for CachedCredentials {
    fn provide_credentials<'a>(&'a self) -> ProvidedCredentials<'a>
    where
        Self: 'a,
    {
        ProvidedCredentials::new(self.get())
    }
}

/// The SDK has no operation timeout by default; three attempts of 20 s fit in a minute.
pub(crate) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_mins(1))
        .build()
}

const ATTEMPTS: u32 = 3;
/// Long enough for a `credential_process` that asks its user for a code.
const LOGIN_LIMIT: Duration = Duration::from_mins(2);
const RENEW_BEFORE: Duration = Duration::from_mins(2);
