//! Loading of certificates, keys, authorities and revocation lists, and its errors.

mod authorities;
mod error;
mod loaded_certificate;
mod material;
mod source;

pub(crate) use authorities::{ClientAuthorities, upstream_roots};
pub use error::CertificateError;
pub(crate) use error::SettingError;
pub(crate) use loaded_certificate::LoadedCertificate;
pub(crate) use material::Material;
