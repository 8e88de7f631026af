//! Errors, which name the image and what to do.

use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;
use crate::ecr::EcrRegistry;
use crate::layout::LayoutError;
use crate::reference::{ParseReferenceError, Reference};

/// An error of an operation on an image.
#[derive(Debug, thiserror::Error)]
#[error("`{image}`: {kind}")]
pub struct Error {
    /// The image reference, as given.
    pub image: String,
    /// The kind of the error.
    pub kind: ErrorKind,
}

/// The kind of an error; each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The image reference is invalid.
    #[error("{0}; use REGISTRY/REPOSITORY:TAG")]
    Reference(#[from] ParseReferenceError),
    /// The connection failed.
    #[error("cannot connect to `{host}`: {source}; check the name of the registry and the network")]
    Connect {
        /// The host.
        host: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Plain http to a remote host.
    #[error("`{0}` is a remote host with plain http; use a registry with https")]
    PlainHttp(String),
    /// The name of the host cannot be resolved.
    #[error(
        "cannot find the host `{host}` ({cause}); check the name of the registry, and that this machine resolves names"
    )]
    UnknownHost {
        /// The host.
        host: String,
        /// The cause.
        cause: String,
    },
    /// The TLS handshake failed.
    #[error(
        "no secure connection to `{host}`: {cause}; check the name of the registry and the clock, and name the certificate \
         of a private authority with SSL_CERT_FILE"
    )]
    Tls {
        /// The host.
        host: String,
        /// The cause.
        cause: String,
    },
    /// The connection closed during the exchange.
    #[error("the connection to `{host}` failed: {cause}; try again")]
    Interrupted {
        /// The host.
        host: String,
        /// The cause.
        cause: String,
    },
    /// The request timed out.
    #[error("`{host}` did not respond within {} s; try again, or check the registry", limit.as_secs_f32())]
    Timeout {
        /// The host.
        host: String,
        /// The timeout.
        limit: Duration,
    },
    /// An upload made no progress.
    #[error("the upload to `{host}` made no progress for {} s; try again, or check the network", limit.as_secs_f32())]
    Stalled {
        /// The host.
        host: String,
        /// The timeout.
        limit: Duration,
    },
    /// The registry, or a proxy in front of it, limits the size of uploads.
    #[error(
        "`{host}` refused an upload of {bytes} bytes as too large; raise the limit of the registry or of the proxy in front of it (nginx: client_max_body_size)"
    )]
    UploadTooLarge {
        /// The host.
        host: String,
        /// The size of the upload.
        bytes: u64,
    },
    /// The repository does not exist, and the registry does not create it.
    #[error("`{host}` has no repository `{repository}`{}; create it first (for Amazon ECR: --create-repositories)", format_message(.message.as_deref()))]
    NoRepository {
        /// The host.
        host: String,
        /// The repository.
        repository: String,
        /// The registry's message.
        message: Option<String>,
    },
    /// The tag exists with another image.
    #[error(
        "the tag `{tag}` exists with another image, {existing}, and would move to {pushed}; push with another tag, or with --move-tag"
    )]
    TagExists {
        /// The tag.
        tag: String,
        /// The digest of the existing image.
        existing: String,
        /// The digest of the image to push.
        pushed: Digest,
    },
    /// Another push moved the tag at the same time.
    #[error(
        "another push moved the tag `{tag}` to {} at the same time; {pushed} was pushed as well and can be used by digest", existing.as_deref().unwrap_or("nothing")
    )]
    TagMoved {
        /// The tag.
        tag: String,
        /// The digest that the tag has now.
        existing: Option<String>,
        /// The digest of the pushed image.
        pushed: Digest,
    },
    /// The list of what describes an image is a tag, which other pushes replaced again and again.
    #[error(
        "other pushes keep replacing the tag `{tag}`, the list of SBOMs and signatures; push again when they are done"
    )]
    ReferrersReplaced {
        /// The tag.
        tag: String,
    },
    /// The registry received other bytes than those sent.
    #[error(
        "`{host}` received {returned} instead of {pushed}; do not use this image, check the registry and any proxy"
    )]
    WrongDigest {
        /// The host.
        host: String,
        /// The digest of the bytes sent.
        pushed: Digest,
        /// The digest that the registry returned.
        returned: String,
    },
    /// The registry does not allow deletion.
    #[error(
        "`{host}` does not allow deletion; enable it (docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true)"
    )]
    DeletionDisabled {
        /// The host.
        host: String,
    },
    /// A layout or the store cannot be read or written, or is damaged.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The layout cannot be pushed as one image.
    #[error("{reason} in the layout {}; build the image again", path.display())]
    UnsupportedLayout {
        /// The layout.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The registry requires a login, or refuses the given one.
    #[error("`{host}` denied access{}; {hint}", user.as_ref().map_or_else(String::new, |user| format!(" to `{user}`")))]
    Denied {
        /// The host.
        host: String,
        /// The user, if there was a login.
        user: Option<String>,
        /// What to do.
        hint: String,
    },
    /// The repository or the tag does not exist.
    #[error("`{host}` has no such image{}; check the tag, or push the image first", format_message(.message.as_deref()))]
    NotFound {
        /// The host.
        host: String,
        /// The registry's message.
        message: Option<String>,
    },
    /// The registry limits the rate of requests.
    #[error("`{host}` received too many requests{}; try later, or log in", wait.map_or_else(String::new, |wait| format!(" and requests a wait of {} s", wait.as_secs())))]
    RateLimited {
        /// The host.
        host: String,
        /// The requested wait.
        wait: Option<Duration>,
    },
    /// Any other unsuccessful status.
    #[error("`{host}` returned {status}{}; try again, or check the registry", format_message(.message.as_deref()))]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
        /// The registry's message.
        message: Option<String>,
    },
    /// The response is not that of a registry.
    #[error(
        "unexpected response of `{host}` ({reason}); check the name of the registry, and for a login page or proxy in between"
    )]
    InvalidResponse {
        /// The host.
        host: String,
        /// The unexpected part of it.
        reason: String,
    },
    /// The response exceeds the size limit.
    #[error(
        "`{host}` sent more than {limit} bytes; no manifest or SBOM is that large, check the registry"
    )]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The digest of the bytes does not match.
    #[error(
        "`{host}` sent {actual} instead of {expected}; do not use this image, check the registry and any proxy"
    )]
    DigestMismatch {
        /// The host.
        host: String,
        /// The expected digest.
        expected: String,
        /// The digest of the received bytes.
        actual: Digest,
    },
    /// The image does not support a required platform.
    #[error("no variant for {platform}, only for {}; build it for {platform} too, or change `size.architecture`", if available.is_empty() { "none".to_owned() } else { available.join(", ") })]
    MissingPlatform {
        /// The required platform.
        platform: String,
        /// The platforms of the image.
        available: Vec<String>,
    },
    /// The manifest format is not supported.
    #[error(
        "unsupported manifest `{0}`, which ECS cannot run; push the image again with a newer tool"
    )]
    UnsupportedManifest(String),
    /// The manifest is not that of a container image.
    #[error("`{0}` is not a container image; choose another repository or tag")]
    NotAnImage(String),
    /// The image is larger than the limits.
    #[error(
        "the image has {layers} layers with {bytes} bytes, more than fits a task (16 GiB, 256 layers); build a smaller one"
    )]
    ImageTooLarge {
        /// The number of layers.
        layers: usize,
        /// Their compressed size.
        bytes: u64,
    },
    /// The registry sent more or fewer bytes than the manifest says.
    #[error(
        "`{host}` sent another number of bytes for {digest} than its manifest states ({expected}); do not use this image, check the registry"
    )]
    SizeMismatch {
        /// The host.
        host: String,
        /// The digest of the blob.
        digest: Digest,
        /// The size in the manifest.
        expected: u64,
    },
    /// A credential helper failed.
    #[error(
        "`docker-credential-{helper}` failed: {cause}; log in again, or correct docker's config.json"
    )]
    CredentialHelper {
        /// The name of the helper in config.json.
        helper: String,
        /// The cause.
        cause: String,
    },
}

fn format_message(message: Option<&str>) -> String {
    message.map_or_else(String::new, |message| format!(": {message}"))
}

impl ErrorKind {
    /// Returns whether the cause is on this machine: an argument, a file or a login, and not the answer of a registry.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Reference(_)
                | Self::PlainHttp(_)
                | Self::Layout(_)
                | Self::UnsupportedLayout { .. }
                | Self::CredentialHelper { .. }
        )
    }

    /// Creates a [`Self::Denied`] with the command to log in.
    pub(crate) fn denied_error(reference: &Reference, user: Option<String>) -> Self {
        let host = reference.registry();
        // ECR has no permanent passwords: its tokens are valid for 12 hours.
        let hint = match EcrRegistry::parse(host) {
            Some(registry) => format!(
                "run `aws ecr get-login-password --region {} | docker login --username AWS --password-stdin {host}`; the login is valid for 12 hours",
                registry.region()
            ),
            None => format!("check the name of the image, or run `docker login {host}`"),
        };

        Self::Denied {
            host: host.to_owned(),
            user,
            hint,
        }
    }
}
