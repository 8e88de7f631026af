//! Passes JSON documents through the SDK as they are.
//!
//! The SDK has a type of its own for every record of a task definition, and knows only the fields that
//! existed when it was made. Our document already is what the API wants, so it goes out instead of what the
//! SDK would write, before the request is signed; and what comes back is kept as it came.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::http::HttpRequest;
use aws_sdk_ecs::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use serde_json::Value;

/// Puts a document into a request. For `customize().mutate_request(…)`.
pub(crate) fn send(document: String) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        request
            .headers_mut()
            .insert("content-length", document.len().to_string());
        *request.body_mut() = document.clone().into();
    }
}

/// Keeps the document of an answer. For `customize().interceptor(…)`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer(Arc<Mutex<Option<Value>>>);

impl Answer {
    /// The document of the last answer, if it was JSON.
    pub(crate) fn take(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for Answer {
    fn name(&self) -> &'static str {
        "answer as a document"
    }

    // Only now the whole body is in memory.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let document = context
            .response()
            .body()
            .bytes()
            .and_then(|b| serde_json::from_slice(b).ok());

        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = document;
        Ok(())
    }
}
