//! What to do about an image that could not be read: the hint of I01.

use registry::{ErrorKind, ReadImageError};

/// Returns the next step for a user, which depends on what failed.
pub(super) fn for_error(error: &ReadImageError) -> &'static str {
    match error {
        ReadImageError::NoFile(_) => "correct the path",
        ReadImageError::Pull { error, .. } => for_kind(&error.kind),
        ReadImageError::Setup(_) => "correct docker's config.json or HTTPS_PROXY",
        ReadImageError::Layout(_) | ReadImageError::Unpack(_) => "build or save the image again",
    }
}

fn for_kind(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Reference(_) => "correct the image reference",
        ErrorKind::PlainHttp(_) => "use a registry with https",
        ErrorKind::UnknownHost { .. } => {
            "correct the name of the registry, or the DNS of this machine"
        }
        ErrorKind::Tls { .. } => {
            "name the certificate authority of the registry with SSL_CERT_FILE"
        }
        ErrorKind::Connect { .. } | ErrorKind::Interrupted { .. } => {
            "check the network and HTTPS_PROXY, and try again"
        }
        ErrorKind::Timeout { .. } | ErrorKind::Stalled { .. } | ErrorKind::Status { .. } => {
            "try again, or check the registry"
        }
        ErrorKind::Denied { .. } | ErrorKind::CredentialHelper { .. } => "log in to its registry",
        ErrorKind::NotFound { .. } | ErrorKind::NoRepository { .. } => {
            "push the image, or correct its name and tag"
        }
        ErrorKind::RateLimited { .. } => "try later, or log in for a higher limit",
        ErrorKind::MissingPlatform { .. } => "build the image for the platform of the task",
        ErrorKind::ImageTooLarge { .. } => "build a smaller image",
        ErrorKind::NotAnImage(_) | ErrorKind::UnsupportedManifest(_) => {
            "push a container image with a current tool"
        }
        ErrorKind::Layout(_) => "make room in the cache of images, or make it writable",
        // The registry, or something in between, does not work as one.
        _ => "check the name of the registry and any proxy in between",
    }
}
