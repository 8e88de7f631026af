//! Passes JSON documents through the SDK unchanged.
//!
//! The SDK's types for task definitions have only the fields that existed when it was generated. The document
//! is already in the format of the API, so it replaces the body of the request before signing, and the body of
//! the response is kept as it is.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_ecs::config::http::HttpRequest;
use aws_sdk_ecs::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use serde_json::Value;

/// Replaces the body of a request; for `customize().mutate_request(…)`.
pub(crate) fn send(document: String) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    move |request| {
        request
            .headers_mut()
            // The SDK set the length for the body that is replaced.
            .insert("content-length", document.len().to_string());
        *request.body_mut() = document.clone().into();
    }
}

/// Keeps the body of a response; for `customize().interceptor(…)`.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseDocument(Arc<Mutex<Option<Value>>>);

impl ResponseDocument {
    /// Takes the body of the last response, if it was JSON.
    pub(crate) fn take(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Intercept for ResponseDocument {
    fn name(&self) -> &'static str {
        "response document"
    }

    // Earlier hooks see a stream; after deserialization the whole body is in memory.
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
