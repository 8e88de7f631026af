//! The credentials endpoint: credentials of the task role.
//!
//! Source: ECS developer guide, "Task IAM role". The responses are those of the ECS agent, which the container
//! credential provider of the AWS SDKs reads.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use super::server::JsonResponse;
use super::timestamp::rfc3339;

/// Temporary credentials.
#[derive(Clone)]
pub struct Credentials {
    /// The role they belong to.
    pub role_arn: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token; empty for the key of a user.
    pub token: String,
    /// When they expire.
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

/// The result of a request for credentials, or why there are none now.
pub type CredentialsFuture = Pin<Box<dyn Future<Output = Result<Credentials, String>> + Send>>;

/// Gets credentials; called for each request of a container.
#[derive(Clone)]
pub struct CredentialsSource(Arc<dyn Fn() -> CredentialsFuture + Send + Sync>);

impl CredentialsSource {
    /// Creates a source from a function that gets credentials.
    pub fn new(get: impl Fn() -> CredentialsFuture + Send + Sync + 'static) -> Self {
        Self(Arc::new(get))
    }

    pub(super) async fn response(&self) -> JsonResponse {
        match (self.0)().await {
            Ok(credentials) => (
                200,
                json!({
                    "RoleArn": credentials.role_arn,
                    "AccessKeyId": credentials.access_key_id,
                    "SecretAccessKey": credentials.secret_access_key,
                    "Token": credentials.token,
                    "Expiration": rfc3339(credentials.expiration),
                }),
            ),
            // The agent answers so while its credentials have not arrived yet; SDKs retry on 503.
            Err(error) => error_response(503, "CredentialsUninitialized", &error),
        }
    }
}

impl fmt::Debug for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsSource")
    }
}

/// Returns the response to a request without a credentials id.
pub(super) fn missing_id() -> JsonResponse {
    error_response(
        400,
        "NoIdInRequest",
        "there is no credential ID in the request",
    )
}

/// Returns the response to an id of another task.
pub(super) fn unknown_id() -> JsonResponse {
    error_response(
        400,
        "InvalidIdInRequest",
        "there are no credentials with this id",
    )
}

/// Returns the response if no source was configured.
pub(super) fn not_configured() -> JsonResponse {
    let message = "credentials are off here: turn them on with `assemble up --credentials profile` (yours) or \
            `--credentials role` (the task role's), or set AWS_ACCESS_KEY_ID and its companions with --env";
    error_response(400, "InvalidIdInRequest", message)
}

fn error_response(status: u16, code: &str, message: &str) -> JsonResponse {
    (
        status,
        json!({ "code": code, "message": message, "HTTPErrorCode": status }),
    )
}
