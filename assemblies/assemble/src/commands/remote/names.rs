//! Services and tasks on the command line.
//!
//! A name with a slash, and an ARN, is on AWS; every other name is that of a local run.

use ecs_client::{ExpectedAccount, ServiceName, TaskName, parse_arn};

/// Returns whether a name is that of a task on AWS.
pub(crate) fn is_on_aws(task: &str) -> bool {
    task.starts_with("arn:") || task.contains('/')
}

/// Parses the name of a service.
pub(crate) fn parse_service(text: &str) -> Result<ServiceName, String> {
    text.parse()
}

/// Parses the name of a task on AWS.
pub(crate) fn parse_task(text: &str) -> Result<TaskName, String> {
    text.parse()
}

/// Returns the account and the region that a service is expected in: those of its ARN.
pub(crate) fn account_of(service: &ServiceName) -> ExpectedAccount {
    let (account, region) = service.arn().and_then(parse_arn).unzip();
    ExpectedAccount {
        account,
        region,
        origin: format!("`{service}`"),
        remedy: "pass a service of that account and region".to_owned(),
    }
}
