//! The API calls as data, and the trait that sends them.

use std::future::Future;

use serde_json::Value;

use crate::error::Error;

mod operation;
mod service;

pub use operation::Operation;
pub use service::Service;
pub(crate) use service::{EndpointVariant, Protocol};

/// Sends API calls: [`Client`](crate::Client) to AWS, [`Recorder`](crate::Recorder) to another sender or to nothing.
pub trait Api {
    /// Sends a call and returns the body of the response.
    fn call(&self, call: &Call) -> impl Future<Output = Result<Value, Error>> + Send;
}

/// One API call, with the request as the API takes it.
///
/// The request is JSON with the names of the API reference. APIs that take forms get the same structure as a form, and
/// their XML responses are returned as JSON: see [`Service`].
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

    /// Returns whether the same request may be sent again when it is unknown whether the first one arrived.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self.operation {
            // Without a token, a second request starts a second task.
            Operation::RunTask => self.body["clientToken"].is_string(),
            operation => operation.is_repeatable(),
        }
    }
}
