//! The name of an image, as people write it.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// A registry, a repository in it, and which of its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and port as they were written: `localhost:5000`, `docker.io`.
    registry: String,
    /// The path: `library/nginx`.
    repository: String,
    /// What follows.
    which: Which,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    Tag(String),
    Digest(Digest),
}

/// A text names no image.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no image reference: {why}")]
pub struct NoReference {
    text: String,
    why: &'static str,
}

impl Reference {
    /// The registry as it was written, Docker Hub's included: `docker.io`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host that is asked; Docker Hub's differs from its name.
    pub(crate) fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => "registry-1.docker.io",
            host => host,
        }
    }

    /// The path in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag or digest, as it stands in a path.
    pub(crate) fn which(&self) -> &str {
        match &self.which {
            Which::Tag(tag) => tag,
            Which::Digest(digest) => digest.as_str(),
        }
    }

    /// The digest, where the reference names one.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match &self.which {
            Which::Tag(_) => None,
            Which::Digest(digest) => Some(digest),
        }
    }

    /// Whether the registry is this machine, where plain http has no listeners in between.
    pub(crate) fn is_local(&self) -> bool {
        let (host, _) = split_port(&self.registry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Result<std::net::IpAddr, _> = host.parse();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        let wrong = |why| NoReference {
            text: text.chars().take(300).collect(),
            why,
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| wrong("what follows `@` is no sha256 digest"))?;
                (name, Some(digest))
            }
            None => (text, None),
        };

        let (registry, rest) = split_registry(name);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };

        if !path.split('/').all(is_part) {
            return Err(wrong(
                "a repository has small letters, digits and `-_.`, in parts with `/` between",
            ));
        }

        let tag = tag.unwrap_or("latest");
        if !is_tag(tag) {
            return Err(wrong("a tag has up to 128 letters, digits and `-_.`"));
        }

        if !is_host(registry) {
            return Err(wrong("the registry is no host name"));
        }
        let repository = if registry == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };

        Ok(Self {
            registry: registry.to_owned(),
            repository,
            which: digest.map_or_else(|| Which::Tag(tag.to_owned()), Which::Digest),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.digest().is_some() { '@' } else { ':' };
        write!(
            f,
            "{}/{}{mark}{}",
            self.registry,
            self.repository,
            self.which()
        )
    }
}

/// What an image without a registry comes from.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// The first part is a registry when it looks like a host, as docker decides it.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "index.docker.io" | "registry-1.docker.io" => (DOCKER_HUB, rest),
            _ => (first, rest),
        },
        _ => (DOCKER_HUB, name),
    }
}

/// Host and port; an IPv6 address keeps its brackets.
pub(crate) fn split_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (host, None),
        },
        _ => (host, None),
    }
}

fn is_host(host: &str) -> bool {
    let (name, _) = split_port(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain),
    }
}

fn is_part(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(plain)
        && part.ends_with(plain)
        && part.chars().all(|c| plain(c) || "-_.".contains(c))
}

fn is_tag(tag: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(plain) && tag.chars().all(|c| plain(c) || "-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        text.parse::<Reference>()
            .map_or_else(|fault| fault.to_string(), |one| one.to_string())
    }

    #[test]
    fn fills_in_what_docker_fills_in() {
        assert_eq!(told("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(told("me/web:1"), "docker.io/me/web:1");
        assert_eq!(told("localhost/web"), "localhost/web:latest");
        assert_eq!(told("localhost:5000/a/b:1"), "localhost:5000/a/b:1");
        assert_eq!(told("[::1]:5000/web:1"), "[::1]:5000/web:1");
        assert_eq!(
            told("public.ecr.aws/x/y:1.0-a_b"),
            "public.ecr.aws/x/y:1.0-a_b"
        );
    }

    #[test]
    fn a_digest_wins_over_a_tag() {
        let digest = Digest::of(b"");
        assert_eq!(
            told(&format!("a.b/web:1@{digest}")),
            format!("a.b/web@{digest}")
        );
    }

    #[test]
    fn refuses_what_could_leave_the_path() {
        for text in [
            "",
            "a//b",
            "../x",
            "Web",
            "a:b:c",
            "web:",
            "web@sha256:1",
            "a.b/x?y",
            "a b/c",
            "web:1/../2",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for (text, local) in [
            ("localhost:1/a", true),
            ("127.0.0.1:1/a", true),
            ("[::1]:1/a", true),
            ("10.0.0.1:1/a", false),
            ("a", false),
            ("localhost.example/a", false),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap().is_local(),
                local,
                "{text}"
            );
        }
    }
}
