//! What can go wrong, in plain words.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};

/// What can go wrong between us and ECS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody said which region.
    #[error(
        "no AWS region is set; set AWS_REGION, or a region in the profile that AWS_PROFILE names"
    )]
    NoRegion,
    /// Nobody gave credentials.
    #[error(
        "no AWS credentials were found for {operation}; log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID ({detail})"
    )]
    NoCredentials {
        /// What was to be done.
        operation: &'static str,
        /// What the chain of providers said.
        detail: String,
    },
    /// Nobody answered.
    #[error(
        "ECS could not be reached for {operation}: {detail}; check the network and AWS_ENDPOINT_URL"
    )]
    Unreachable {
        /// What was to be done.
        operation: &'static str,
        /// What the connection said.
        detail: String,
    },
    /// ECS said no.
    #[error("ECS refused {operation}: {message} ({code})")]
    Refused {
        /// What was to be done.
        operation: &'static str,
        /// The name of the error.
        code: String,
        /// What ECS said.
        message: String,
    },
    /// The answer was none that ECS gives.
    #[error(
        "the answer to {operation} was HTTP {status} and not understood; is the endpoint really ECS?"
    )]
    NotUnderstood {
        /// What was to be done.
        operation: &'static str,
        /// The HTTP status; 0 if there was none.
        status: u16,
    },
    /// The task could not be placed.
    #[error("the task was not started: {}", list(.0))]
    NotStarted(Vec<Failure>),
    /// ECS does not know the task any more.
    #[error("ECS no longer knows the task {task}, so how it ended cannot be said")]
    Vanished {
        /// The task's ARN.
        task: String,
    },
    /// The task did not end in time.
    #[error("the task {task} is still {status} after {} s; it goes on without us", .limit.as_secs())]
    StillRunning {
        /// The task's ARN.
        task: String,
        /// What it was doing when last seen.
        status: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

/// Why ECS did not start a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it is about: a capacity provider, a container instance, a task.
    pub arn: Option<String>,
    /// The reason in a word: `RESOURCE:MEMORY`, `MISSING` …
    pub reason: String,
    /// More about it.
    pub detail: Option<String>,
}

impl From<&aws_sdk_ecs::types::Failure> for Failure {
    fn from(failure: &aws_sdk_ecs::types::Failure) -> Self {
        Self {
            arn: failure.arn().map(str::to_owned),
            reason: failure.reason().unwrap_or("no reason was given").to_owned(),
            detail: failure.detail().map(str::to_owned),
        }
    }
}

fn list(failures: &[Failure]) -> String {
    let each = failures.iter().map(|one| {
        let about = one
            .arn
            .as_deref()
            .map(|arn| format!(" ({arn})"))
            .unwrap_or_default();
        let detail = one
            .detail
            .as_deref()
            .map(|text| format!(": {text}"))
            .unwrap_or_default();
        format!("{}{detail}{about}", one.reason)
    });

    match each.collect::<Vec<_>>().join("; ") {
        text if text.is_empty() => "ECS named neither a task nor a reason".to_owned(),
        text => text,
    }
}

impl Error {
    /// The error of a call, in plain words.
    pub(crate) fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        if let (Some(code), SdkError::ServiceError(_)) = (error.code(), &error) {
            let message = error
                .message()
                .unwrap_or("no reason was given")
                .trim()
                .to_owned();
            return Self::Refused {
                operation,
                code: code.to_owned(),
                message,
            };
        }

        if let Some(response) = error.raw_response() {
            return Self::NotUnderstood {
                operation,
                status: response.status().as_u16(),
            };
        }

        let detail = innermost(&error);
        if mentions(&error, "credential") {
            Self::NoCredentials { operation, detail }
        } else {
            Self::Unreachable { operation, detail }
        }
    }

    /// Whether the side that refused is AWS's, and not ours.
    pub fn is_remote(&self) -> bool {
        !matches!(self, Self::NoRegion | Self::NoCredentials { .. })
    }
}

fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn mentions(error: &(dyn StdError + 'static), word: &str) -> bool {
    chain(error).any(|one| one.to_string().to_lowercase().contains(word))
}
