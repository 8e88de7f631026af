//! A filter that lets a request through only with a good credential, or where a rule says that it
//! needs none.
//!
//! It stands between the proxy that ends TLS and the app, in the same task. One request goes through
//! it in one direction:
//!
//! ```text
//!            target.rs        rules.rs      credentials/, issuers.rs,           headers.rs
//! request ─▶ one reading? ──▶ what does ──▶ jws/, keys/, claims.rs:       ───▶ x-auth-* set, ─▶ app
//!            400              it need?      who is it, and may they?           others stripped
//!                                           401, 403, 429, 503
//! ```
//!
//! [`Authorizer`] is that line up to the verdict and claim_matches no connection; [`Filter`] puts HTTP around it;
//! [`AuthFilter`] makes a component of the two, and [`serve`] serves it on a listener of yours. Start reading at [`Authorizer::authorize`].
//!
//! The layers are useful alone: [`jws`] checks signatures and knows nothing of claims, [`keys`] keeps
//! a key set fresh, [`target`] refuses paths with two readings.
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
pub mod target;
mod token_cache;
mod verbs;

pub use authorizer::{Authorized, Authorizer};
pub use component::{AuthFilter, serve};
pub use config::{Config, TrustedIssuer};
pub use failure_limiter::{FailureLimiter, FailureSettings};
pub use filter::{AuthorizationHeader, Enforcement, Filter, UpstreamIdentity};
pub use identity::{Credential, Identity};
pub use identity_token::{IdentityTokenSettings, IdentityTokens, SigningKeyError};
pub use issuers::{IssuerVerifier, Issuers};
pub use rejection::Rejection;
