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
//! [`Judge`] is that line up to the verdict and holds no connection; [`Filter`] puts HTTP around it;
//! [`AuthFilter`] makes a component of the two, and [`serve`] serves it on a listener of yours. Start reading at [`Judge::judge`].
//!
//! The layers are useful alone: [`jws`] checks signatures and knows nothing of claims, [`keys`] keeps
//! a key set fresh, [`target`] refuses paths with two readings.
//!
//! ```
//! use auth_filter::rules::{Need, Rules};
//! use auth_filter::target::Target;
//!
//! let rules = Rules::compile(&serde_json::from_str::<Vec<_>>(
//!     r#"[{"path": "/healthz", "public": true}, {"path": "/v1/**", "scopes": ["coins.read"]}]"#,
//! )?)
//! .map_err(|problems| format!("{problems:?}"))?;
//!
//! assert_eq!(rules.need("GET", &Target::parse("/healthz")?), Need::Nothing);
//! assert_eq!(rules.need("GET", &Target::parse("/other")?), Need::NoRule);
//! assert!(Target::parse("/v1/%2e%2e/healthz").is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod audit;
pub mod claims;
mod component;
mod config;
pub mod credentials;
mod failures;
mod filter;
mod headers;
mod identity;
mod identity_token;
mod issuers;
mod json;
mod judge;
pub mod jws;
pub mod keys;
mod refusal;
pub mod rules;
pub mod target;
mod verbs;
mod verdicts;

pub use component::{AuthFilter, serve};
pub use config::{Config, TrustedIssuer};
pub use failures::{FailureSettings, Failures};
pub use filter::{Filter, Refusals, Token, Told};
pub use identity::{Credential, Identity};
pub use identity_token::{IdentityTokenSettings, IdentityTokens, NoSigningKey};
pub use issuers::{Issuers, Trusted};
pub use judge::{Judge, Passed};
pub use refusal::Refusal;
