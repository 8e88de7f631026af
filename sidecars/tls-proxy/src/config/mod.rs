//! The settings and their validation.

mod certificate_settings;
mod checks;
mod schema;

pub(crate) use certificate_settings::CertificateSettings;
pub use schema::{ClientAuth, Config, ExtraCertificate, MinVersion, Mode, SendProxyProtocol};
