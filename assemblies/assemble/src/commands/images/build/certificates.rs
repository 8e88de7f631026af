//! The public certificate authorities, for programs that read them from a file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::metadata::Package;

/// Where Debian and Alpine have the file, and most TLS libraries look for it.
pub(super) const PATH: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Returns whether a program reads the authorities of the system. Programs that carry them need no file.
pub(super) fn are_needed(linked: &[&Package]) -> bool {
    linked
        .iter()
        .any(|package| READERS.contains(&package.name.as_str()))
}

/// Returns Mozilla's authorities as PEM. They come with this command and not from the machine, where the same build
/// would differ from one to the next.
pub(super) fn pem() -> Vec<u8> {
    let mut pem = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        pem += "-----BEGIN CERTIFICATE-----\n";
        let text = STANDARD.encode(certificate.as_ref());
        // RFC 7468 section 2: lines of 64 characters.
        for start in (0..text.len()).step_by(64) {
            pem += &text[start..text.len().min(start + 64)];
            pem.push('\n');
        }
        pem += "-----END CERTIFICATE-----\n";
    }
    pem.into_bytes()
}

/// Packages that load the authorities from files at run time.
const READERS: [&str; 3] = [
    "openssl-probe",
    "rustls-native-certs",
    "rustls-platform-verifier",
];
