//! Sends the calls, a bounded number at a time, and keeps what AWS answered.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// What AWS answered.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// The response.
    Found(Value),
    /// It does not exist; the message of AWS.
    Missing(String),
    /// It cannot be known.
    Unknown(Unknown),
}

/// Why a fact is unknown.
#[derive(Debug, Clone)]
pub(super) enum Unknown {
    /// The caller lacks this IAM action.
    Denied(String),
    /// The call failed.
    Failed(String),
    /// The call was not made.
    NotAsked(String),
}

/// Sends the calls.
#[derive(Debug)]
pub(super) struct Reader<'a, A> {
    api: &'a A,
    permits: Semaphore,
    sent: AtomicUsize,
    refused: AtomicUsize,
    fatal: Mutex<Option<Error>>,
}

impl<'a, A: Api> Reader<'a, A> {
    pub(super) fn new(api: &'a A) -> Self {
        Self {
            api,
            permits: Semaphore::new(MAX_CONCURRENT_CALLS),
            sent: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            fatal: Mutex::new(None),
        }
    }

    /// Sends a call.
    pub(super) async fn ask(&self, operation: Operation, body: Value) -> Answer {
        // The semaphore is never closed; without a permit the call is only less bounded.
        let _permit = self.permits.acquire().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        match self.api.call(&Call::new(operation, body)).await {
            Ok(response) => Answer::Found(response),
            Err(error) => self.explain(operation, error),
        }
    }

    /// Sends a call, and follows its pages; returns the items of `list` of all of them.
    pub(super) async fn ask_all(&self, operation: Operation, body: Value, list: &str) -> Answer {
        let (mut body, mut all) = (body, Vec::new());
        for _ in 0..MAX_PAGES {
            let mut page = match self.ask(operation, body.clone()).await {
                Answer::Found(page) => page,
                other => return other,
            };
            if let Value::Array(items) = page[list].take() {
                all.extend(items);
            }
            // EC2 begins the name in lower case, the other APIs do not.
            let token = ["nextToken", "NextToken"]
                .iter()
                .find_map(|name| page[*name].as_str());
            match token {
                Some(token) => body["NextToken"] = token.into(),
                None => return Answer::Found(all.into()),
            }
        }

        let message = format!("{operation} has more than {MAX_PAGES} pages");
        Answer::Unknown(Unknown::Failed(message))
    }

    fn explain(&self, operation: Operation, error: Error) -> Answer {
        if error.is_access_denied() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Answer::Unknown(Unknown::Denied(operation.action()));
        }

        if let Error::Refused { code, message, .. } = &error {
            // NoSuchEntity of IAM; InvalidSubnetID.NotFound, ResourceNotFoundException … of the others.
            if code.contains("NotFound") || code.starts_with("NoSuchEntity") {
                return Answer::Missing(message.clone());
            }
            return Answer::Unknown(Unknown::Failed(error.to_string()));
        }

        if let Error::UnexpectedResponse { .. } = &error {
            return Answer::Unknown(Unknown::Failed(error.to_string()));
        }

        let message = error.to_string();
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        // No network and wrong credentials are the same for every call; an endpoint of one API may be missing, as
        // behind a proxy.
        if !matches!(error, Error::Unreachable { .. }) || operation == Operation::GetCallerIdentity
        {
            fatal.get_or_insert(error);
        }
        Answer::Unknown(Unknown::Failed(message))
    }

    /// Returns the number of calls.
    pub(super) fn sent_calls(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns the number of calls that the caller may not make.
    pub(super) fn refused_calls(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the error that every call has.
    pub(super) fn into_fatal_error(self) -> Option<Error> {
        self.fatal
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    pub(super) fn not_asked(reason: impl Into<String>) -> Self {
        Self::Unknown(Unknown::NotAsked(reason.into()))
    }

    /// Returns the response; `Null` if there is none.
    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Found(value) => value,
            Self::Missing(_) | Self::Unknown(_) => &Value::Null,
        }
    }

    /// Returns why the fact is unknown.
    pub(super) fn unknown(&self) -> Option<&Unknown> {
        match self {
            Self::Unknown(unknown) => Some(unknown),
            Self::Found(_) | Self::Missing(_) => None,
        }
    }
}

/// Waits for all futures at the same time.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();

    poll_fn(|context| {
        let mut is_complete = true;
        for (future, output) in &mut pending {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => is_complete = false,
                }
            }
        }
        if is_complete {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;

    pending
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

/// Below the rates at which the APIs throttle: DescribeTargetGroups and others allow bursts of 20 and more.
const MAX_CONCURRENT_CALLS: usize = 16;
/// A page of EC2 has up to 1,000 items.
const MAX_PAGES: usize = 10;
