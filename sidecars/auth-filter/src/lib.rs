//! A filter that lets a request through only with a good bearer token, or where a rule says that it
//! needs none.
//!
//! It stands between the proxy that ends TLS and the app, in the same task. One request goes through
//! it in one direction:
//!
//! ```text
//!            target.rs        rules.rs      bearer.rs, jws/, keys/, claims.rs     identity.rs
//! request ─▶ one reading? ──▶ what does ──▶ is the token good, and good for ──▶ x-auth-* set, ─▶ app
//!            400              it need?      this?   401, 403, 503                 others stripped
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
mod bearer;
pub mod claims;
mod component;
mod config;
mod filter;
mod identity;
mod judge;
pub mod jws;
pub mod keys;
mod refusal;
pub mod rules;
pub mod target;
mod verbs;

pub use component::{AuthFilter, serve};
pub use config::Config;
pub use filter::{Filter, Token};
pub use judge::{Judge, Passed};
pub use refusal::Refusal;
