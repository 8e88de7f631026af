//! Errors, with messages for users.

use std::error::Error as StdError;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use serde_json::Value;

use crate::account::AccountMismatch;
use crate::api::Operation;
use crate::login::Origin;

mod causes;

pub(crate) use causes::causes;
use causes::{chain, root_cause};

/// An error of a call to AWS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No region is configured.
    #[error(
        "no AWS region is set; pass --region, or set AWS_REGION, or a region in the profile that AWS_PROFILE names"
    )]
    MissingRegion,
    /// No credentials were found.
    #[error(
        "no AWS credentials were found; log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID ({detail})"
    )]
    MissingCredentials {
        /// The message of the credential providers.
        detail: String,
    },
    /// The credentials of the environment or of a profile cannot be had.
    #[error("cannot log in with {origin}: {detail}; {advice}")]
    Login {
        /// Where the credentials come from.
        origin: String,
        /// The cause.
        detail: String,
        /// What to do.
        advice: String,
    },
    /// There is no profile of this name.
    #[error("there is no AWS profile `{name}`; {}", format_profiles(.known))]
    UnknownProfile {
        /// The name.
        name: String,
        /// The profiles that there are.
        known: Vec<String>,
    },
    /// The files with the profiles cannot be read.
    #[error("cannot read the AWS profiles: {detail}; check ~/.aws/config and ~/.aws/credentials")]
    Profiles {
        /// The cause.
        detail: String,
    },
    /// AWS cannot be reached.
    #[error(
        "cannot reach {service} for {operation}: {detail}; check the network and AWS_ENDPOINT_URL"
    )]
    Unreachable {
        /// The API.
        service: &'static str,
        /// The API operation.
        operation: &'static str,
        /// The cause.
        detail: String,
    },
    /// AWS does not accept the credentials.
    #[error("{service} rejected the credentials of {origin} for {operation}: {message}; {advice}")]
    RejectedCredentials {
        /// The API.
        service: &'static str,
        /// The API operation.
        operation: &'static str,
        /// The message and the code of AWS.
        message: String,
        /// Where the credentials come from.
        origin: String,
        /// What to do.
        advice: String,
    },
    /// AWS returned an error.
    #[error("{service} refused {operation}: {message} ({code}){}", hint(.code, .operation))]
    Refused {
        /// The API.
        service: &'static str,
        /// The API operation.
        operation: &'static str,
        /// The error code.
        code: String,
        /// The message of AWS.
        message: String,
    },
    /// The response is not in the format of the API.
    #[error(
        "unexpected response to {operation} (HTTP {status}); check that the endpoint is {service}"
    )]
    UnexpectedResponse {
        /// The API.
        service: &'static str,
        /// The API operation.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// The credentials are of another account, or the region is another one.
    #[error("{0}")]
    WrongAccount(Box<AccountMismatch>),
    /// The arguments of a run are not valid.
    #[error("{0}")]
    InvalidRequest(String),
    /// A task was started, but how it goes on is unknown.
    #[error("cannot follow {tasks}, which {continue_or_continues} to run: {source}",
        tasks = .tasks.join(", "), continue_or_continues = if .tasks.len() == 1 { "continues" } else { "continue" })]
    Unfollowed {
        /// The ARNs of the tasks.
        tasks: Vec<String>,
        /// The cause.
        source: Box<Error>,
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
    /// The task did not reach the status within the timeout.
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

impl Failure {
    /// Reads the `failures` of a response.
    pub(crate) fn read_all(response: &Value) -> Vec<Self> {
        let entries = response["failures"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let text = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
        let read = |entry: &Value| Self {
            arn: text(entry, "arn"),
            reason: text(entry, "reason").unwrap_or_else(|| "no reason given".to_owned()),
            detail: text(entry, "detail"),
        };
        entries.iter().map(read).collect()
    }

    /// Returns whether there may be capacity later.
    ///
    /// Source: "API failure reasons" in the ECS developer guide: `RESOURCE:*`, and the text of Fargate.
    pub(crate) fn is_about_capacity(&self) -> bool {
        let text = format!(
            "{} {}",
            self.reason,
            self.detail.as_deref().unwrap_or_default()
        );
        self.reason.starts_with("RESOURCE:")
            || [
                "Capacity is unavailable",
                "Rate exceeded",
                "Too many concurrent",
            ]
            .iter()
            .any(|known| text.contains(known))
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

fn format_profiles(known: &[String]) -> String {
    match known {
        [] => "~/.aws/config and ~/.aws/credentials have no profiles".to_owned(),
        known => format!("choose one of: {}", known.join(", ")),
    }
}

/// Returns where to look for the permissions, if one is missing.
fn hint(code: &str, operation: &str) -> String {
    match code {
        "AccessDeniedException" | "AccessDenied" => format!(
            "; the policy of your user or role must allow {operation}: see `assemble permissions`"
        ),
        _ => String::new(),
    }
}

impl Error {
    /// Converts an error of the SDK.
    pub(crate) fn from_sdk<E>(
        called: Operation,
        error: SdkError<E, HttpResponse>,
        origin: &Origin,
    ) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let (service, operation) = (called.service(), called.as_str());

        // A modelled error of the API, with a code and a message for users.
        if let (Some(code), SdkError::ServiceError(_)) = (error.code(), &error) {
            let message = error
                .message()
                .unwrap_or("no reason given")
                .trim()
                .to_owned();
            let code = code.to_owned();
            if is_about_credentials(&code) {
                return Self::RejectedCredentials {
                    service,
                    operation,
                    message: format!("{message} ({code})"),
                    origin: origin.to_string(),
                    advice: origin.advice(),
                };
            }
            return Self::Refused {
                service,
                operation,
                code,
                message,
            };
        }

        // A response without an error code, such as HTML of a proxy; its body would not help the user.
        if let Some(response) = error.raw_response() {
            return Self::UnexpectedResponse {
                service,
                operation,
                status: response.status().as_u16(),
            };
        }

        // Credentials that cannot be renewed during a long wait.
        if let Some(error) =
            chain(&error).find_map(|error| error.downcast_ref::<CredentialsError>())
        {
            return origin.explain(error);
        }

        Self::Unreachable {
            service,
            operation,
            detail: root_cause(&error),
        }
    }

    /// Returns whether the error is remote and not caused by the local configuration.
    pub fn is_remote(&self) -> bool {
        !matches!(
            self,
            Self::MissingRegion
                | Self::MissingCredentials { .. }
                | Self::Login { .. }
                | Self::UnknownProfile { .. }
                | Self::Profiles { .. }
                | Self::WrongAccount(_)
                | Self::InvalidRequest(_)
        )
    }

    /// Returns whether the same call may succeed later: AWS limits the rate of calls, or has a fault.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::UnexpectedResponse { status, .. } => *status == 429 || *status >= 500,
            Self::Refused { code, message, .. } => {
                // ECS also reports its limits inside InvalidParameterException and ClientException.
                TRANSIENT_CODES.contains(&code.as_str())
                    || TRANSIENT_TEXTS.iter().any(|text| message.contains(text))
            }
            _ => false,
        }
    }
}

/// Returns whether a code is about the credentials rather than about what they allow.
///
/// Source: the common errors of the API references of ECS and STS.
fn is_about_credentials(code: &str) -> bool {
    matches!(
        code,
        "ExpiredTokenException"
            | "ExpiredToken"
            | "RequestExpired"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "SignatureDoesNotMatch"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorized"
    )
}

/// Source: "Error retries" in the documentation of the SDKs, and the errors of the ECS API reference.
const TRANSIENT_CODES: [&str; 12] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServerException",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
];
const TRANSIENT_TEXTS: [&str; 3] = [
    "Rate exceeded",
    "Too many concurrent",
    "Please try again later",
];
