//! Errors of the API: a status, a code and a message, as AWS returns them.

use serde_json::{Map, Value, json};

/// An error response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Members of the exception besides its message.
    pub(crate) members: Map<String, Value>,
}

impl ApiError {
    /// Creates an error of the caller, with status 400: AWS's JSON protocols use it for all of them.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code,
            message: message.into(),
            members: Map::new(),
        }
    }

    /// Returns the error with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Returns the error with a member of its exception.
    pub(crate) fn with_member(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// Creates a ClientException: the request is well-formed, but names something that does not exist or is in use.
    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    /// Creates an InvalidParameterException.
    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// Creates an UnsupportedFeatureException, for what ECS has and the emulator does not.
    pub(crate) fn from_unsupported_feature(what: &str) -> Self {
        let message = format!("the ECS emulator does not support {what}; see docs/emulator.md");
        Self::new("UnsupportedFeatureException", message)
    }

    /// Returns the body of the response.
    pub(crate) fn to_json(&self) -> Value {
        // Clients accept `message` and `Message`; ECS sends the former.
        let mut body = json!({ "__type": self.code, "message": self.message });
        for (name, value) in &self.members {
            body[name] = value.clone();
        }
        body
    }
}
