//! TLS termination: one configuration per certificate, chosen by server name; handshakes with limits;
//! all certificates replaced together when files change.

mod acceptor;
mod certificate_names;
mod certificate_set;
mod client_auth;
mod connections;
mod fingerprint;
mod provider;

pub(crate) use acceptor::{Accepted, TlsAcceptor, bytes_counter, version};
pub(crate) use certificate_set::CertificateSet;
pub(crate) use connections::ConnectionGuard;
pub(crate) use provider::{H2, provider, versions};
