//! Errors, with messages for users.

use std::time::Duration;

use crate::account::AccountMismatch;
use crate::api::{Call, Operation};

mod causes;
mod failure;

pub(crate) use causes::{causes, chain, root_cause};
pub use failure::Failure;
use failure::format_failures;

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
        "cannot reach {} for {operation}: {detail}; check the network and AWS_ENDPOINT_URL",
        .operation.service()
    )]
    Unreachable {
        /// The API operation.
        operation: Operation,
        /// The cause.
        detail: String,
    },
    /// AWS does not accept the credentials.
    #[error("{} rejected the credentials of {origin} for {operation}: {message}; {advice}", .operation.service())]
    RejectedCredentials {
        /// The API operation.
        operation: Operation,
        /// The message and the code of AWS.
        message: String,
        /// Where the credentials come from.
        origin: String,
        /// What to do.
        advice: String,
    },
    /// AWS returned an error.
    #[error("{} refused {operation}: {message} ({code}){}", .operation.service(), hint(.code, *.operation, .message))]
    Refused {
        /// The API operation.
        operation: Operation,
        /// The error code.
        code: String,
        /// The message of AWS.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// The response is not in the format of the API.
    #[error(
        "unexpected response to {operation} (HTTP {status}); check that the endpoint is {}",
        .operation.service()
    )]
    UnexpectedResponse {
        /// The API operation.
        operation: Operation,
        /// The HTTP status.
        status: u16,
    },
    /// The response is larger than this crate reads.
    #[error(
        "the response to {operation} is larger than {} MiB; check that the endpoint is {}",
        .max_bytes >> 20, .operation.service()
    )]
    ResponseTooLarge {
        /// The API operation.
        operation: Operation,
        /// The limit.
        max_bytes: usize,
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
    /// There is no such service.
    #[error(
        "there is no service {name}: {detail}; `aws ecs list-services --cluster NAME` lists them"
    )]
    ServiceNotFound {
        /// The cluster and the service.
        name: String,
        /// The reason.
        detail: String,
    },
    /// The deployments of the service are not those of ECS.
    #[error("cannot deploy to {name}: its deployment controller is {controller}; {remedy}")]
    UnsupportedController {
        /// The cluster and the service.
        name: String,
        /// The type of the controller.
        controller: String,
        /// What to do.
        remedy: &'static str,
    },
    /// ECS lists no deployment of the revision.
    #[error("ECS lists no deployment of {revision} for {name}; see `assemble status {name}`")]
    NoDeployment {
        /// The cluster and the service.
        name: String,
        /// The ARN of the revision.
        revision: String,
    },
    /// A deployment cannot be followed.
    #[error("cannot follow the deployment of {revision} to {name}, which goes on: {source}")]
    DeploymentUnfollowed {
        /// The cluster and the service.
        name: String,
        /// The ARN of the revision.
        revision: String,
        /// The cause.
        source: Box<Error>,
    },
    /// A deployment did not end within the timeout.
    #[error("the deployment to {name} is still {status} after {} s; it goes on: see `assemble status {name}`", .timeout.as_secs())]
    DeploymentTimeout {
        /// The cluster and the service.
        name: String,
        /// The last known status.
        status: String,
        /// The timeout.
        timeout: Duration,
    },
    /// Other writers changed the service each time.
    #[error("{name} is deployed to by others at the same time; try again later")]
    Contended {
        /// The cluster and the service.
        name: String,
    },
    /// A revision cannot be deployed.
    #[error("cannot go back to {revision}: {detail}; choose another one with `--to N`")]
    RevisionNotUsable {
        /// The ARN of the revision.
        revision: String,
        /// The reason.
        detail: String,
    },
    /// A command cannot be run in a task.
    #[error("cannot reach {what}: {detail}")]
    NoTarget {
        /// The service, or the ARN of the task.
        what: String,
        /// The reason, and what to do.
        detail: String,
    },
    /// No other revision was deployed completely.
    #[error(
        "no other revision was deployed completely to {name}, as far as ECS remembers; choose one with `--to N`"
    )]
    NothingToRollBackTo {
        /// The cluster and the service.
        name: String,
    },
    /// A stack is of another tool.
    #[error(
        "there is a stack `{name}` that was not made by `assemble deploy`: it has no tag `assemble:assembly`; rename the \
         assembly, or delete the stack, or, to hand it over, add the tag with `aws cloudformation update-stack \
         --use-previous-template --tags Key=assemble:assembly,Value={name}`"
    )]
    ForeignStack {
        /// The name.
        name: String,
    },
    /// A stack has a change set of another tool.
    #[error(
        "the stack `{stack}` has the change set `{change_set}` of another tool, which would be deleted; execute it or \
         delete it first: `aws cloudformation delete-change-set --stack-name {stack} --change-set-name {change_set}`"
    )]
    ForeignChangeSet {
        /// The name of the stack.
        stack: String,
        /// The name of the change set.
        change_set: String,
    },
    /// A stack cannot be changed.
    #[error("the stack `{name}` is in the status {status}: {remedy}")]
    StackNotUsable {
        /// The name.
        name: String,
        /// The status.
        status: String,
        /// What to do.
        remedy: &'static str,
    },
    /// CloudFormation cannot prepare the changes.
    #[error("CloudFormation cannot change the stack `{stack}`: {reason}{}", existing_hint(.reason))]
    ChangeSetFailed {
        /// The name of the stack.
        stack: String,
        /// The reason of CloudFormation.
        reason: String,
    },
    /// An operation of a stack cannot be followed.
    #[error("cannot follow the operation of the stack {name}, which goes on: {source}")]
    StackUnfollowed {
        /// The name or the ARN.
        name: String,
        /// The cause.
        source: Box<Error>,
    },
    /// An operation of a stack did not end within the timeout.
    #[error("the stack {name} is still {status} after {} s; run the same command again to wait longer", .timeout.as_secs())]
    StackTimeout {
        /// The name or the ARN.
        name: String,
        /// The last known status.
        status: String,
        /// The timeout.
        timeout: Duration,
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

fn format_profiles(known: &[String]) -> String {
    match known {
        [] => "~/.aws/config and ~/.aws/credentials have no profiles".to_owned(),
        known => format!("choose one of: {}", known.join(", ")),
    }
}

/// Returns what to do about a resource that exists outside of a stack.
///
/// Source: "Validate stack deployments" in the CloudFormation user guide.
fn existing_hint(reason: &str) -> &'static str {
    if reason.contains("ResourceExistenceCheck") || reason.contains("already exists") {
        "; for a bucket that exists set `make_bucket: no` or `make_output_bucket: no` in the values; delete a log group or a \
         role that a deleted stack left"
    } else {
        ""
    }
}

/// Returns the permission that is missing, and where to look for all that are needed.
fn hint(code: &str, operation: Operation, message: &str) -> String {
    if !ACCESS_CODES.contains(&code) {
        return String::new();
    }
    let action = refused_action(message).map_or_else(|| operation.action(), str::to_owned);
    format!("; the policy of your user or role must allow {action}: see `assemble permissions`")
}

/// Returns the action that a message names. It may be another one than that of the call: RegisterTaskDefinition also
/// needs `iam:PassRole`.
fn refused_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?;
    let (service, name) = action.split_once(':')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    (is_name(service) && is_name(name)).then_some(action)
}

impl Error {
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
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::UnexpectedResponse { status, .. } => is_fault(*status),
            Self::Refused {
                code,
                message,
                status,
                ..
            } => {
                // ECS also reports its limits inside InvalidParameterException and ClientException.
                is_fault(*status)
                    || THROTTLING_CODES.contains(&code.as_str())
                    || TRANSIENT_CODES.contains(&code.as_str())
                    || TRANSIENT_TEXTS.iter().any(|text| message.contains(text))
            }
            _ => false,
        }
    }

    /// Returns whether AWS limits the rate of calls, so that the call had no effect.
    pub(crate) fn is_throttling(&self) -> bool {
        match self {
            Self::UnexpectedResponse { status, .. } => *status == TOO_MANY_REQUESTS,
            Self::Refused { code, status, .. } => {
                *status == TOO_MANY_REQUESTS || THROTTLING_CODES.contains(&code.as_str())
            }
            _ => false,
        }
    }

    /// Returns whether the same request may be sent again at once.
    pub(crate) fn may_be_repeated(&self, call: &Call) -> bool {
        let is_fault = match self {
            Self::Unreachable { .. } => true,
            Self::UnexpectedResponse { status, .. } | Self::Refused { status, .. } => {
                is_fault(*status)
            }
            _ => false,
        };
        self.is_throttling() || (is_fault && call.is_repeatable())
    }

    /// Returns whether a permission is missing.
    pub fn is_access_denied(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if ACCESS_CODES.contains(&code.as_str()))
    }
}

fn is_fault(status: u16) -> bool {
    status == TOO_MANY_REQUESTS || status >= 500
}

/// Returns whether a code is about the credentials rather than about what they allow.
///
/// Source: the common errors of the API references of ECS and STS.
pub(crate) fn is_about_credentials(code: &str) -> bool {
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
const THROTTLING_CODES: [&str; 7] = [
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
];
const TRANSIENT_CODES: [&str; 5] = [
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

const TOO_MANY_REQUESTS: u16 = 429;
/// What the APIs call a missing permission; the last one is EC2's.
const ACCESS_CODES: [&str; 3] = [
    "AccessDeniedException",
    "AccessDenied",
    "UnauthorizedOperation",
];

#[cfg(test)]
mod tests {
    use super::Error;
    use crate::api::Operation;

    fn access_denied(message: &str) -> String {
        let error = Error::Refused {
            operation: Operation::RegisterTaskDefinition,
            code: "AccessDeniedException".to_owned(),
            message: message.to_owned(),
            status: 400,
        };
        error.to_string()
    }

    #[test]
    fn a_missing_permission_is_named() {
        let pass = "User: u is not authorized to perform: iam:PassRole on resource: r";
        assert!(
            access_denied(pass).contains("must allow iam:PassRole:"),
            "{}",
            access_denied(pass)
        );
        let other = access_denied("no");
        assert!(
            other.contains("must allow ecs:RegisterTaskDefinition:"),
            "{other}"
        );
    }
}
