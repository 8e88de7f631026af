//! The field `local` of `component.yaml`: how to run a component without its image.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to run a component locally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Local {
    /// There is no program for it in this project.
    Fallback(LocalFallback),
    /// A program of this project.
    Program(Box<LocalProgram>),
}

impl Local {
    /// Returns the program, if there is one.
    pub fn program(&self) -> Option<&LocalProgram> {
        match self {
            Self::Program(program) => Some(program),
            Self::Fallback(_) => None,
        }
    }
}

/// What runs in place of a component without a local program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LocalFallback {
    /// Nothing: the container is left out, and other containers do not wait for it.
    Skip,
    /// A stub that only sleeps.
    Stub,
}

/// The local program of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalProgram {
    /// The binary.
    pub binary: String,
    /// The command that builds it.
    #[serde(default)]
    pub build: String,
    /// The Debian packages that building and running it needs.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Settings to start it without an assembly, as the conformance tests do. Paths are relative to the root of
    /// a project with development keys.
    #[serde(default)]
    pub alone: BTreeMap<String, String>,
    /// An example request to try when it runs.
    #[serde(default, rename = "try")]
    pub attempt: Option<Attempt>,
    /// The settings that determine which token it requires, for a component that rejects requests without one.
    /// With it, the example request of `up` carries a token of `assemble dev-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSettings>,
}

/// The settings of a component that checks tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The setting for the issuer it trusts.
    pub issuer: String,
    /// The setting for the audience that a token must have.
    pub audience: String,
}

/// An example request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The content type of the body.
    #[serde(default)]
    pub content_type: Option<String>,
    /// A file with the body, relative to the root of the project.
    #[serde(default)]
    pub sample: Option<String>,
}
