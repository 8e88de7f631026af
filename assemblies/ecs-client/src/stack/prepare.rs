//! Whether a stack can be changed: waits for what is in progress, and refuses stacks and change sets of other tools.

use tokio::time::{Instant, sleep};

use super::change_set;
use super::state::{IN_REVIEW, StackState, describe_stack};
use super::{CHANGE_SET_PREFIX, StackEvent};
use crate::api::Api;
use crate::deploy::FollowWait;
use crate::error::Error;

/// A stack before a change.
#[derive(Debug, Clone)]
pub enum Readiness {
    /// There is none: it will be created.
    New,
    /// It can be updated.
    Existing(Box<StackState>),
    /// It could not be created, and cannot be updated: it must be deleted first.
    FailedCreation(Box<StackState>),
}

/// Returns whether a stack can be changed, after operations in progress have ended. Deletes change sets that an
/// interrupted deploy left.
pub async fn prepare(
    api: &impl Api,
    name: &str,
    wait: FollowWait,
    mut on_event: impl FnMut(StackEvent<'_>),
) -> Result<Readiness, Error> {
    let end = Instant::now() + wait.timeout;
    let mut last_status = String::new();
    loop {
        let Some(stack) = describe_stack(api, name).await? else {
            return Ok(Readiness::New);
        };
        if stack.status() == IN_REVIEW {
            remove_change_sets(api, name).await?;
            return Ok(Readiness::New);
        }
        if !stack.is_own() {
            return Err(Error::ForeignStack {
                name: name.to_owned(),
            });
        }
        if !stack.is_busy() {
            return readiness(api, stack).await;
        }

        if stack.status() != last_status {
            stack.status().clone_into(&mut last_status);
            on_event(StackEvent::Busy {
                status: stack.status(),
            });
        }
        if Instant::now() >= end {
            return Err(Error::StackTimeout {
                name: name.to_owned(),
                status: stack.status().to_owned(),
                timeout: wait.timeout,
            });
        }
        sleep(wait.interval).await;
    }
}

async fn readiness(api: &impl Api, stack: StackState) -> Result<Readiness, Error> {
    let remedy = match stack.status() {
        // Source: "Stack status codes" in the CloudFormation user guide.
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" => {
            return Ok(Readiness::FailedCreation(Box::new(stack)));
        }
        "UPDATE_ROLLBACK_FAILED" => {
            "the last rollback did not end; correct what its events name (`aws cloudformation describe-stack-events`), \
             then run `aws cloudformation continue-update-rollback`"
        }
        "DELETE_FAILED" => {
            "it could not be deleted; delete what its events name (`aws cloudformation describe-stack-events`), then run \
             `aws cloudformation delete-stack`"
        }
        _ => {
            remove_change_sets(api, stack.name()).await?;
            return Ok(Readiness::Existing(Box::new(stack)));
        }
    };
    Err(Error::StackNotUsable {
        name: stack.name().to_owned(),
        status: stack.status().to_owned(),
        remedy,
    })
}

/// Deletes our change sets and refuses those of others: CloudFormation deletes them when ours is executed.
async fn remove_change_sets(api: &impl Api, stack: &str) -> Result<(), Error> {
    let listed = change_set::list(api, stack).await?;
    let (own, foreign): (Vec<_>, Vec<_>) = listed
        .into_iter()
        .partition(|change_set| change_set.name.starts_with(CHANGE_SET_PREFIX));
    // One that failed cannot be executed, and is only a record.
    let pending = foreign.into_iter().find(|it| it.status != "FAILED");
    if let Some(change_set) = pending {
        return Err(Error::ForeignChangeSet {
            stack: stack.to_owned(),
            change_set: change_set.name,
        });
    }
    for change_set in own {
        change_set::delete(api, stack, &change_set.name).await?;
    }
    Ok(())
}
