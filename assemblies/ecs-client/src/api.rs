//! The API calls as data, and the trait that sends them.

use std::future::Future;

use serde_json::Value;

use crate::error::Error;

/// Sends API calls: [`Client`](crate::Client) to AWS, [`Recorder`](crate::Recorder) to another sender or to nothing.
pub trait Api {
    /// Sends a call and returns the body of the response.
    fn call(&self, call: &Call) -> impl Future<Output = Result<Value, Error>> + Send;
}

/// One API call, with the request as the API takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The operation.
    pub operation: Operation,
    /// The request.
    pub body: Value,
}

impl Call {
    /// Creates a call.
    pub fn new(operation: Operation, body: Value) -> Self {
        Self { operation, body }
    }
}

/// An operation of an AWS API that this crate calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// `sts:GetCallerIdentity`
    GetCallerIdentity,
    /// `ecs:DescribeTaskDefinition`
    DescribeTaskDefinition,
    /// `ecs:RegisterTaskDefinition`
    RegisterTaskDefinition,
    /// `ecs:ListTaskDefinitionFamilies`
    ListTaskDefinitionFamilies,
    /// `ecs:ListTaskDefinitions`
    ListTaskDefinitions,
    /// `ecs:ListClusters`
    ListClusters,
    /// `ecs:ListServices`
    ListServices,
    /// `ecs:DescribeServices`
    DescribeServices,
    /// `ecs:ListServiceDeployments`
    ListServiceDeployments,
    /// `ecs:DescribeServiceRevisions`
    DescribeServiceRevisions,
    /// `ecs:RunTask`
    RunTask,
    /// `ecs:DescribeTasks`
    DescribeTasks,
    /// `ecs:StopTask`
    StopTask,
    /// `logs:GetLogEvents`
    GetLogEvents,
}

impl Operation {
    /// Returns the name of the operation in its API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::DescribeTaskDefinition => "DescribeTaskDefinition",
            Self::RegisterTaskDefinition => "RegisterTaskDefinition",
            Self::ListTaskDefinitionFamilies => "ListTaskDefinitionFamilies",
            Self::ListTaskDefinitions => "ListTaskDefinitions",
            Self::ListClusters => "ListClusters",
            Self::ListServices => "ListServices",
            Self::DescribeServices => "DescribeServices",
            Self::ListServiceDeployments => "ListServiceDeployments",
            Self::DescribeServiceRevisions => "DescribeServiceRevisions",
            Self::RunTask => "RunTask",
            Self::DescribeTasks => "DescribeTasks",
            Self::StopTask => "StopTask",
            Self::GetLogEvents => "GetLogEvents",
        }
    }

    /// Returns the name of the API in messages.
    pub fn service(self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "STS",
            Self::GetLogEvents => "CloudWatch Logs",
            _ => "ECS",
        }
    }

    /// Returns the action in an IAM policy.
    pub fn action(self) -> String {
        let prefix = match self {
            Self::GetCallerIdentity => "sts",
            Self::GetLogEvents => "logs",
            _ => "ecs",
        };
        format!("{prefix}:{}", self.as_str())
    }
}
