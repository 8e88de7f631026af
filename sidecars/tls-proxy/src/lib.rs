//! A TLS proxy that stands in front of an app in the same task: HTTPS in, HTTP to the next hop.
//!
//! ```text
//! client ──TLS──▶ handshake (tls.rs) ──▶ forward (forward.rs) ──HTTP──▶ next hop
//!                      ▲                        │
//!            certificate (certificate.rs)       └── X-Forwarded-*, trace context
//!                      ▲
//!                 PEM text (pem.rs) ◀── settings (config.rs)
//! ```
//!
//! [`TlsProxy`] is the component; [`Proxy`] is the same thing for programs that embed it, and
//! [`serve`] is its shortest form. Nothing process-wide is installed: the crypto provider is
//! passed to rustls explicitly.

mod certificate;
mod component;
mod config;
mod forward;
mod pem;
mod proxy;
mod tls;

pub use certificate::CertificateError;
pub use component::TlsProxy;
pub use config::{Config, MinVersion};
pub use proxy::{Error, Proxy, serve};
