//! Image references, as docker parses them.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// An image reference: a registry, a repository, and a tag or digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and port as given: `localhost:5000`, `docker.io`.
    registry: String,
    /// The path: `library/nginx`.
    repository: String,
    /// The tag or digest.
    tag_or_digest: TagOrDigest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TagOrDigest {
    Tag(String),
    Digest(Digest),
}

/// An error parsing an image reference.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an image reference: {reason}")]
pub struct ParseReferenceError {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// Returns the registry; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the host of the API, which for Docker Hub differs from its name.
    pub(crate) fn host(&self) -> &str {
        match self.registry.as_str() {
            DOCKER_HUB => "registry-1.docker.io",
            host => host,
        }
    }

    /// Returns the path in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag or digest, for a URL path.
    pub(crate) fn tag_or_digest(&self) -> &str {
        match &self.tag_or_digest {
            TagOrDigest::Tag(tag) => tag,
            TagOrDigest::Digest(digest) => digest.as_str(),
        }
    }

    /// Returns the digest, if the reference has one.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match &self.tag_or_digest {
            TagOrDigest::Tag(_) => None,
            TagOrDigest::Digest(digest) => Some(digest),
        }
    }

    /// Returns whether the registry is on the local host, where plain http cannot be intercepted.
    pub(crate) fn is_local(&self) -> bool {
        let (host, _) = split_port(&self.registry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address: Result<std::net::IpAddr, _> = host.parse();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        let error = |reason| ParseReferenceError {
            text: text.chars().take(300).collect(),
            reason,
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| error("the part after `@` is not a sha256 digest"))?;
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
            return Err(error(
                "a repository consists of lower-case letters, digits and `-_.`, in parts separated by `/`",
            ));
        }

        // Validated even if a digest is given, since both come from the same text.
        let tag = tag.unwrap_or("latest");
        if !is_tag(tag) {
            return Err(error(
                "a tag consists of up to 128 letters, digits and `-_.`",
            ));
        }

        // The host becomes part of a URL, so it must not contain a path or user information.
        if !is_host(registry) {
            return Err(error("the registry is not a host name"));
        }
        // Official images of Docker Hub are in the namespace `library`.
        let repository = if registry == DOCKER_HUB && !path.contains('/') {
            format!("library/{path}")
        } else {
            path.to_owned()
        };

        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag_or_digest: digest
                .map_or_else(|| TagOrDigest::Tag(tag.to_owned()), TagOrDigest::Digest),
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
            self.tag_or_digest()
        )
    }
}

/// The registry of references without one.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// Splits off the registry: the first part, if it looks like a host by docker's rules.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => match first {
            "index.docker.io" | "registry-1.docker.io" => (DOCKER_HUB, rest),
            _ => (first, rest),
        },
        _ => (DOCKER_HUB, name),
    }
}

/// Splits host and port; an IPv6 address keeps its brackets.
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
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_allowed)
        }
    }
}

fn is_part(part: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(is_allowed)
        && part.ends_with(is_allowed)
        && part.chars().all(|c| is_allowed(c) || "-_.".contains(c))
}

fn is_tag(tag: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128
        && tag.starts_with(is_allowed)
        && tag.chars().all(|c| is_allowed(c) || "-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_reference(text: &str) -> String {
        text.parse::<Reference>()
            .map_or_else(|error| error.to_string(), |reference| reference.to_string())
    }

    #[test]
    fn applies_the_defaults_of_docker() {
        assert_eq!(format_reference("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(format_reference("me/web:1"), "docker.io/me/web:1");
        assert_eq!(format_reference("localhost/web"), "localhost/web:latest");
        assert_eq!(
            format_reference("localhost:5000/a/b:1"),
            "localhost:5000/a/b:1"
        );
        assert_eq!(format_reference("[::1]:5000/web:1"), "[::1]:5000/web:1");
        assert_eq!(
            format_reference("public.ecr.aws/x/y:1.0-a_b"),
            "public.ecr.aws/x/y:1.0-a_b"
        );
    }

    #[test]
    fn prefers_a_digest_over_a_tag() {
        let digest = Digest::from_content(b"");
        assert_eq!(
            format_reference(&format!("a.b/web:1@{digest}")),
            format!("a.b/web@{digest}")
        );
    }

    #[test]
    fn rejects_invalid_references() {
        for text in [
            "",
            "a//b",
            "../x",
            "Web",
            "a:b:c",
            "web:",
            "web@sha256:1",
            // A query or `..` would change the request to the registry.
            "a.b/x?y",
            "a b/c",
            "web:1/../2",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn recognizes_local_registries() {
        for (text, is_local) in [
            ("localhost:1/a", true),
            ("127.0.0.1:1/a", true),
            ("[::1]:1/a", true),
            ("10.0.0.1:1/a", false),
            ("a", false),
            // The name `localhost` counts only as a whole.
            ("localhost.example/a", false),
        ] {
            assert_eq!(
                text.parse::<Reference>().unwrap().is_local(),
                is_local,
                "{text}"
            );
        }
    }
}
