//! Credentials of the task's role, as its containers ask for them.
//!
//! Source: ECS developer guide, "Task IAM role"; the shapes are the agent's, which the AWS SDKs' container
//! credential provider reads.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use super::calendar::rfc3339;
use super::server::Answer;

/// Credentials that somebody holds for a while.
#[derive(Clone)]
pub struct Credentials {
    /// Whose they are.
    pub role_arn: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token; empty for a user's own key.
    pub token: String,
    /// Until when they are good.
    pub expiration: SystemTime,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (role, expiration) = (&self.role_arn, self.expiration);
        f.debug_struct("Credentials")
            .field("role_arn", role)
            .field("expiration", &expiration)
            .finish_non_exhaustive()
    }
}

/// Gets them, or says why there are none now; asked every time a container asks.
pub type Asked = Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send>>;

/// Where credentials come from.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> Asked + Send + Sync>);

impl Source {
    /// From whatever `ask` asks.
    pub fn new(ask: impl Fn() -> Asked + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub(super) async fn answer(&self) -> Answer {
        match (self.0)().await {
            Ok(told) => (
                200,
                json!({
                    "RoleArn": told.role_arn,
                    "AccessKeyId": told.access_key_id,
                    "SecretAccessKey": told.secret_access_key,
                    "Token": told.token,
                    "Expiration": rfc3339(told.expiration),
                }),
            ),
            Err(why) => failure(503, "CredentialsUninitialized", &why),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Of nobody's id.
pub(super) fn nameless() -> Answer {
    failure(
        400,
        "NoIdInRequest",
        "there is no credential ID in the request",
    )
}

pub(super) fn unknown() -> Answer {
    failure(
        400,
        "InvalidIdInRequest",
        "there are no credentials of this id",
    )
}

/// Nobody has chosen where they come from.
pub(super) fn none() -> Answer {
    let why = "credentials are off here: turn them on with `assemble up --credentials profile` (yours) or \
        `--credentials role` (the task role's), or set AWS_ACCESS_KEY_ID and its companions with --env";
    failure(400, "InvalidIdInRequest", why)
}

fn failure(status: u16, code: &str, why: &str) -> Answer {
    (
        status,
        json!({ "code": code, "message": why, "HTTPErrorCode": status }),
    )
}
