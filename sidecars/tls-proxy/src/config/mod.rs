//! The settings and their validation.

mod algorithms;
mod certificate_settings;
mod checks;
mod schema;
mod tls_checks;

pub use algorithms::{CipherSuite, KeyExchangeGroup};
pub(crate) use certificate_settings::CertificateSettings;
pub use schema::{
    ClientAuth, Config, ExtraCertificate, ForwardClientCertificate, MinVersion, Mode,
    SendProxyProtocol,
};
