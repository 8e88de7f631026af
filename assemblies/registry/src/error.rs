//! Why a registry's answer could not be had, in words that name the image and a way out.

use std::time::Duration;

use crate::digest::Digest;
use crate::reference::{NoReference, Reference};

/// What went wrong with which image.
#[derive(Debug, thiserror::Error)]
#[error("`{image}`: {problem}")]
pub struct Error {
    /// The image, as it was written.
    pub image: String,
    /// What went wrong.
    pub problem: Problem,
}

/// What went wrong; every message ends in a way out.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The text names no image.
    #[error("{0}; write REGISTRY/REPOSITORY:TAG")]
    Reference(#[from] NoReference),
    /// No connection.
    #[error("cannot connect to `{host}`: {source}; check the name of the registry and the network")]
    Connect {
        /// Who was called.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Plain http to another machine.
    #[error("`{0}` is plain http to another machine; use a registry with https")]
    Plain(String),
    /// The exchange broke off.
    #[error("`{host}` broke off: {cause}; try again")]
    Broken {
        /// Who was called.
        host: String,
        /// What the library said.
        cause: String,
    },
    /// It took too long.
    #[error("`{host}` did not answer within {} s; try again, or look at the registry", limit.as_secs_f32())]
    Slow {
        /// Who was called.
        host: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The registry wants somebody else, or somebody at all.
    #[error("`{host}` refuses{}; {way_out}", who.as_ref().map_or_else(String::new, |who| format!(" `{who}`")))]
    Denied {
        /// Who refused.
        host: String,
        /// As whom it was asked.
        who: Option<String>,
        /// What to do.
        way_out: String,
    },
    /// The repository or the tag is not there.
    #[error("`{host}` has no such image{}; check the tag, or push the image first", words(.said.as_deref()))]
    NotThere {
        /// Who was asked.
        host: String,
        /// What it said.
        said: Option<String>,
    },
    /// Too many questions.
    #[error("`{host}` has had too many requests{}; try later, or log in", wait.map_or_else(String::new, |wait| format!(" and asks to wait {} s", wait.as_secs())))]
    Busy {
        /// Who was asked.
        host: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// An answer that is none of the above.
    #[error("`{host}` answered {status}{}; try again, or look at the registry", words(.said.as_deref()))]
    Status {
        /// Who was asked.
        host: String,
        /// The answer.
        status: u16,
        /// What it said.
        said: Option<String>,
    },
    /// The answer is not a registry's.
    #[error(
        "`{host}` does not answer like a registry ({what}); check the name, and whether a login page or a proxy stands in between"
    )]
    NoRegistry {
        /// Who was asked.
        host: String,
        /// What came.
        what: String,
    },
    /// A longer answer than anything honest.
    #[error(
        "`{host}` sent more than {limit} bytes; no manifest is that long, look at the registry"
    )]
    TooBig {
        /// Who was asked.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The bytes are not what their name says.
    #[error(
        "`{host}` says that it sent {said}, but the bytes are {found}; do not use this image, look at the registry and what stands in between"
    )]
    Lie {
        /// Who sent it.
        host: String,
        /// What it said.
        said: String,
        /// What it is.
        found: Digest,
    },
    /// An image that does not run where the task does.
    #[error("there is no variant for {wanted}; it has {}; build it for {wanted} too, or change `size.architecture`", if has.is_empty() { "none".to_owned() } else { has.join(", ") })]
    NoPlatform {
        /// What is needed.
        wanted: String,
        /// What there is.
        has: Vec<String>,
    },
    /// A kind of manifest that is not, or no longer, in use.
    #[error("it is a `{0}`, which is no image that ECS runs; push it again with a newer tool")]
    Kind(String),
    /// The helper that keeps the passwords failed.
    #[error(
        "`docker-credential-{helper}` failed: {cause}; log in again, or mend docker's config.json"
    )]
    Helper {
        /// Its name in config.json.
        helper: String,
        /// What it said.
        cause: String,
    },
}

fn words(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(": {said}"))
}

impl Problem {
    /// Who refuses whom, with the command that mends it.
    pub(crate) fn denied(reference: &Reference, who: Option<String>) -> Self {
        let host = reference.registry();
        let way_out = match private_ecr_region(host) {
            Some(region) => format!(
                "run `aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {host}`; such a login lasts 12 hours"
            ),
            None => format!("check the name of the image, or run `docker login {host}`"),
        };

        Self::Denied {
            host: host.to_owned(),
            who,
            way_out,
        }
    }
}

/// The region of `ACCOUNT.dkr.ecr.REGION.amazonaws.com`.
fn private_ecr_region(host: &str) -> Option<&str> {
    let rest = host.split_once(".dkr.ecr.")?.1;
    Some(rest.split_once(".amazonaws.com")?.0)
}
