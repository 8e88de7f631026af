//! A TLS proxy for an app in the same task: TLS in and HTTP or TCP to the next hop, or TCP in and TLS out.
//!
//! ```text
//! client ──TLS──▶ acceptor (tls/)  ───▶ HttpForwarder (forward.rs) ──HTTP──▶ next hop
//!                      ▲            └──▶ TcpForwarder (tcp.rs, pipe.rs) ─TCP─▶ next hop
//!         CertificateSet ◀── certificates, authorities (certificate/) ◀── reload (reload.rs)
//!                      ▲
//!                 PEM text (pem.rs) ◀── settings (config/)
//! ```
//!
//! [`TlsProxy`] is the component, and [`serve`] the proxy in another program: the caller binds and decides
//! when to stop. [`Proxy`] is for programs that also reload on a signal of theirs. Nothing is installed
//! process-wide: the crypto provider is passed to rustls explicitly.

mod allow;
mod certificate;
mod client_certificate;
mod component;
mod config;
mod counting_stream;
mod dev;
mod error;
mod expiry;
mod forward;
mod forwarded_headers;
mod identity;
mod network;
mod pem;
mod pipe;
mod proxy;
mod proxy_protocol;
mod redirect;
mod reload;
mod service;
mod spiffe;
mod target;
mod tcp;
mod tickets;
mod tls;

pub use allow::Allow;
pub use certificate::CertificateError;
pub use chassis::{Readiness, Shutdown, Trigger};
pub use component::TlsProxy;
pub use config::{
    CipherSuite, ClientAuth, Config, ExtraCertificate, ForwardClientCertificate, KeyExchangeGroup,
    MinVersion, Mode, SendProxyProtocol,
};
pub use error::Error;
pub use identity::Identity;
pub use network::{Network, ParseNetworkError};
pub use proxy::Proxy;
pub use proxy_protocol::{ParseHeaderError, parse_v1, parse_v2};
pub use service::{Listeners, serve};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
