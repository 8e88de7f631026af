//! Credentials for a task that runs here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::Mutex;

/// Whose credentials a task gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of whoever runs it: the environment's, or a profile's.
    Profile(Option<String>),
    /// Those of this role, which whoever runs it may assume.
    Role(String),
}

/// Gets credentials, and again before they end.
#[derive(Debug, Clone)]
pub struct TaskCredentials {
    provider: SharedCredentialsProvider,
    last: Arc<Mutex<Option<Credentials>>>,
}

impl TaskCredentials {
    /// Finds out where they come from; nothing is asked of AWS yet.
    ///
    /// # Errors
    ///
    /// The environment, or the profile, has none; or, for a role, no region.
    pub async fn of(whose: &Whose) -> Result<Self, String> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Whose::Profile(Some(name)) = whose {
            loader = loader.profile_name(name);
        }

        let config = loader.load().await;
        let provider = match whose {
            Whose::Profile(_) => config
                .credentials_provider()
                .ok_or("there are no AWS credentials here")?,
            Whose::Role(arn) => assume(arn, &config).await?,
        };

        Ok(Self {
            provider,
            last: Arc::default(),
        })
    }

    /// Credentials that are good for a while: access key, secret, token, and their end; a key without an end is
    /// given one, so that whoever has it asks again.
    ///
    /// # Errors
    ///
    /// What AWS, or the profile, says instead.
    pub async fn get(&self) -> Result<(String, String, String, SystemTime), String> {
        let mut last = self.last.lock().await;
        let soon = SystemTime::now() + EARLY;
        let good = last
            .take()
            .filter(|held| held.expiry().is_some_and(|end| end > soon));
        let held = match good {
            Some(held) => held,
            None => self
                .provider
                .provide_credentials()
                .await
                .map_err(|failure| chain(&failure))?,
        };

        let end = held.expiry().unwrap_or_else(|| SystemTime::now() + LASTS);
        let token = held.session_token().unwrap_or_default().to_owned();
        let told = (
            held.access_key_id().to_owned(),
            held.secret_access_key().to_owned(),
            token,
            end,
        );

        *last = Some(held);
        Ok(told)
    }
}

async fn assume(arn: &str, config: &SdkConfig) -> Result<SharedCredentialsProvider, String> {
    let Some(region) = config.region() else {
        return Err("no region is named; set AWS_REGION".to_owned());
    };
    let role = AssumeRoleProvider::builder(arn)
        .session_name("assemble-up")
        .region(region.clone())
        .configure(config);
    Ok(SharedCredentialsProvider::new(role.build().await))
}

/// An error with all that led to it: the outermost says only that something went wrong.
fn chain(failure: &dyn std::error::Error) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

/// The SDKs ask again five minutes before the end.
const EARLY: Duration = Duration::from_mins(10);
const LASTS: Duration = Duration::from_hours(1);
