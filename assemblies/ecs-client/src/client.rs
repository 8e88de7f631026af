//! The API client.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;

use crate::error::Error;

/// A client for ECS in one region.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) ecs: aws_sdk_ecs::Client,
}

impl Client {
    /// Creates a client from the environment: `AWS_REGION`, `AWS_PROFILE`, keys, roles, and
    /// `AWS_ENDPOINT_URL` for an emulator.
    pub async fn from_environment() -> Result<Self, Error> {
        Self::load(aws_config::defaults(BehaviorVersion::latest())).await
    }

    /// Creates a client for an emulator such as moto, with dummy credentials.
    pub async fn emulator(url: &str) -> Result<Self, Error> {
        let credentials = Credentials::new("emulator", "emulator", None, None, "emulator");
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::new("eu-central-1"))
            .credentials_provider(credentials);
        Self::load(loader).await
    }

    async fn load(loader: ConfigLoader) -> Result<Self, Error> {
        // The SDK has no operation timeout by default; three attempts of 20 s fit in a minute.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_mins(1))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(3);
        let config = loader
            .timeout_config(timeouts)
            .retry_config(retries)
            .load()
            .await;

        // The SDK reports this only at the first call, and less clearly.
        if config.region().is_none() {
            return Err(Error::MissingRegion);
        }
        Ok(Self {
            ecs: aws_sdk_ecs::Client::new(&config),
        })
    }
}
