//! Authenticates and authorizes requests before they reach the app.
//!
//! Runs between the proxy that terminates TLS and the app, in the same task. A request passes
//! through these steps:
//!
//! ```text
//!            target.rs       rules.rs        credentials/, issuers.rs,      headers.rs
//! request ─▶ unambiguous? ─▶ requirement? ─▶ jws/, keys/, claims.rs:      ─▶ set x-auth-*, ─▶ app
//!            400                             identity, scopes, claims        strip the others
//!                                            401, 403, 429, 503
//! ```
//!
//! [`Authorizer`] performs these steps and holds no connection; [`Filter`] adds HTTP;
//! [`AuthFilter`] is the component, and [`serve`] serves on a listener of the caller. Start reading
//! at [`Authorizer::authorize`].
//!
//! The layers are usable separately: [`jws`] verifies signatures and knows nothing about claims,
//! [`keys`] keeps a key set fresh, [`target`] rejects ambiguous paths.
//!
//! ```
//! use auth_filter::rules::{Requirement, Rules};
//! use auth_filter::target::Target;
//!
//! let rules = Rules::compile(&serde_json::from_str::<Vec<_>>(
//!     r#"[{"path": "/healthz", "public": true}, {"path": "/v1/**", "scopes": ["coins.read"]}]"#,
//! )?)
//! .map_err(|problems| format!("{problems:?}"))?;
//!
//! assert_eq!(rules.requirement("GET", &Target::parse("/healthz")?), Requirement::Public);
//! assert_eq!(rules.requirement("GET", &Target::parse("/other")?), Requirement::NoRule);
//! assert!(Target::parse("/v1/%2e%2e/healthz").is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod authorizer;
pub mod claims;
mod component;
mod config;
mod cors;
pub mod credentials;
mod failure_limiter;
mod filter;
mod headers;
mod identity;
mod identity_token;
mod issuers;
mod json;
pub mod jws;
pub mod keys;
mod rejection;
pub mod rules;
mod service;
pub mod target;
mod token_cache;
mod verbs;

pub use authorizer::{Authorized, Authorizer};
pub use chassis::{Readiness, Shutdown, Trigger};
pub use component::AuthFilter;
pub use config::{Config, TrustedIssuer};
pub use cors::{Cors, CorsSettings};
pub use failure_limiter::{FailureLimiter, FailureSettings};
pub use filter::{AuthorizationHeader, ClientCertificate, Enforcement, Filter, UpstreamIdentity};
pub use identity::{Credential, Identity};
pub use identity_token::{IdentityTokenSettings, IdentityTokens, SigningKeyError};
pub use issuers::{IssuerVerifier, Issuers};
pub use rejection::Rejection;
pub use service::{Error, serve};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
