//! The settings of one certificate, whether it is the main one or an additional one.

use std::path::Path;

use chassis::{Problem, Secret};

use super::Config;

/// The settings of one certificate, the main one or an entry of `certificates`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateSettings<'a> {
    /// The index in `certificates`; `None` for the main certificate.
    pub(crate) index: Option<usize>,
    pub(crate) certificate: &'a Secret,
    pub(crate) key: &'a Secret,
    pub(crate) certificate_file: Option<&'a Path>,
    pub(crate) key_file: Option<&'a Path>,
    pub(crate) ocsp_file: Option<&'a Path>,
    pub(crate) names: &'a [String],
    pub(crate) alpn: &'a [String],
}

impl<'a> CertificateSettings<'a> {
    /// Returns the settings of the main certificate.
    pub(crate) fn from_config(config: &'a Config) -> Self {
        Self {
            index: None,
            certificate: &config.certificate,
            key: &config.key,
            certificate_file: config.certificate_file.as_deref(),
            key_file: config.key_file.as_deref(),
            ocsp_file: config.ocsp_file.as_deref(),
            names: &[],
            alpn: &config.alpn,
        }
    }

    /// Returns the settings of each entry of `certificates`.
    pub(crate) fn extra(config: &'a Config) -> impl Iterator<Item = Self> {
        config
            .certificates
            .iter()
            .enumerate()
            .map(|(index, certificate)| Self {
                index: Some(index),
                certificate: &certificate.certificate,
                key: &certificate.key,
                certificate_file: certificate.certificate_file.as_deref(),
                key_file: certificate.key_file.as_deref(),
                ocsp_file: certificate.ocsp_file.as_deref(),
                names: &certificate.names,
                alpn: if certificate.alpn.is_empty() {
                    &config.alpn
                } else {
                    &certificate.alpn
                },
            })
    }

    /// Returns the full name of a setting of this certificate.
    pub(crate) fn setting(&self, name: &str) -> String {
        match self.index {
            None => name.to_owned(),
            Some(index) => format!("certificates[{index}].{name}"),
        }
    }

    /// Reports what is missing or contradictory.
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        if self.certificate_file.is_some() && !self.certificate.is_empty() {
            problems.push(Problem::new(
                self.setting("certificate_file"),
                "is set together with `certificate`",
                "keep one of them",
            ));
        }

        if self.key_file.is_some() && !self.key.is_empty() {
            problems.push(Problem::new(
                self.setting("key_file"),
                "is set together with `key`",
                "keep one of them",
            ));
        }

        if self.index.is_some() && self.certificate_file.is_none() && self.certificate.is_empty() {
            problems.push(Problem::new(
                self.setting("certificate"),
                "is required",
                "set it to PEM text, or set `certificate_file` next to it",
            ));
        }

        // RFC 7301 section 3.1: a protocol name has 1 to 255 bytes.
        for alpn in self.alpn {
            if alpn.is_empty() || alpn.len() > 255 {
                problems.push(Problem::new(
                    self.setting("alpn"),
                    "has a name that is empty or longer than 255 bytes",
                    "use names of the IANA registry: h2, http/1.1",
                ));
            }
        }
    }
}
