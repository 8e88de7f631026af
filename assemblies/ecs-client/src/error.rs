//! Errors, with messages for users.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};

/// An error of a call to ECS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No region is configured.
    #[error(
        "no AWS region is set; set AWS_REGION, or a region in the profile that AWS_PROFILE names"
    )]
    MissingRegion,
    /// No credentials were found.
    #[error(
        "no AWS credentials were found for {operation}; log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID ({detail})"
    )]
    MissingCredentials {
        /// The API operation.
        operation: &'static str,
        /// The message of the credential providers.
        detail: String,
    },
    /// ECS cannot be reached.
    #[error("cannot reach ECS for {operation}: {detail}; check the network and AWS_ENDPOINT_URL")]
    Unreachable {
        /// The API operation.
        operation: &'static str,
        /// The cause.
        detail: String,
    },
    /// ECS returned an error.
    #[error("ECS refused {operation}: {message} ({code})")]
    Refused {
        /// The API operation.
        operation: &'static str,
        /// The error code.
        code: String,
        /// The message of ECS.
        message: String,
    },
    /// The response is not in the format of ECS.
    #[error("unexpected response to {operation} (HTTP {status}); check that the endpoint is ECS")]
    UnexpectedResponse {
        /// The API operation.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// ECS did not start the task.
    #[error("ECS did not start the task: {}", format_failures(.0))]
    NotStarted(Vec<Failure>),
    /// ECS no longer returns the task.
    #[error("ECS no longer returns the task {task}; its exit code is unknown")]
    TaskNotFound {
        /// The task's ARN.
        task: String,
    },
    /// The task did not stop within the timeout.
    #[error("the task {task} is still {status} after {} s; it continues to run", .timeout.as_secs())]
    WaitTimeout {
        /// The task's ARN.
        task: String,
        /// The last known status.
        status: String,
        /// The timeout.
        timeout: Duration,
    },
}

/// A failure that ECS returned instead of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The resource: a capacity provider, a container instance, a task.
    pub arn: Option<String>,
    /// The reason, such as `RESOURCE:MEMORY` or `MISSING`.
    pub reason: String,
    /// Details.
    pub detail: Option<String>,
}

impl From<&aws_sdk_ecs::types::Failure> for Failure {
    fn from(failure: &aws_sdk_ecs::types::Failure) -> Self {
        Self {
            arn: failure.arn().map(str::to_owned),
            reason: failure.reason().unwrap_or("no reason given").to_owned(),
            detail: failure.detail().map(str::to_owned),
        }
    }
}

fn format_failures(failures: &[Failure]) -> String {
    let each = failures.iter().map(|failure| {
        let resource = failure
            .arn
            .as_deref()
            .map(|arn| format!(" ({arn})"))
            .unwrap_or_default();
        let detail = failure
            .detail
            .as_deref()
            .map(|text| format!(": {text}"))
            .unwrap_or_default();
        format!("{}{detail}{resource}", failure.reason)
    });

    // An emulator may return an empty list.
    match each.collect::<Vec<_>>().join("; ") {
        text if text.is_empty() => "ECS returned neither a task nor a reason".to_owned(),
        text => text,
    }
}

impl Error {
    /// Converts an error of the SDK.
    pub(crate) fn from_sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        // A modelled error of ECS, with a code and a message for users.
        if let (Some(code), SdkError::ServiceError(_)) = (error.code(), &error) {
            let message = error
                .message()
                .unwrap_or("no reason given")
                .trim()
                .to_owned();
            return Self::Refused {
                operation,
                code: code.to_owned(),
                message,
            };
        }

        // A response without an error code, such as HTML of a proxy; its body would not help the user.
        if let Some(response) = error.raw_response() {
            return Self::UnexpectedResponse {
                operation,
                status: response.status().as_u16(),
            };
        }

        let detail = root_cause(&error);
        // The SDK has no error type for missing credentials; the text is the only distinction.
        if mentions(&error, "credential") {
            Self::MissingCredentials { operation, detail }
        } else {
            Self::Unreachable { operation, detail }
        }
    }

    /// Returns whether the error is remote and not caused by the local configuration.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::MissingRegion | Self::MissingCredentials { .. })
    }
}

fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

/// Formats an error with its causes; the outermost message alone is not specific.
pub(crate) fn format_chain(error: &(dyn StdError + 'static)) -> String {
    let messages: Vec<String> = chain(error).map(ToString::to_string).collect();
    messages.join(": ")
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn mentions(error: &(dyn StdError + 'static), word: &str) -> bool {
    chain(error).any(|cause| cause.to_string().to_lowercase().contains(word))
}
