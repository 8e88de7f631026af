//! The parts of an image reference.

/// An image reference: a repository, and optionally a tag and a digest.
///
/// Every text has these parts, also one with a placeholder or a mistake; rule C03 reports invalid references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'t> {
    repository: &'t str,
    tag: Option<&'t str>,
    digest: Option<&'t str>,
}

impl<'t> ImageReference<'t> {
    /// Splits a reference into its parts.
    pub fn parse(text: &'t str) -> Self {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };

        // Only the last step has a tag: the registry may have a port, as in `localhost:5000/app`.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let colon = name[last..].find(':').map(|colon| last + colon);

        Self {
            repository: &name[..colon.unwrap_or(name.len())],
            tag: colon.map(|colon| &name[colon + 1..]),
            digest,
        }
    }

    /// Returns the reference without tag and digest, with the registry if it has one.
    pub fn repository(self) -> &'t str {
        self.repository
    }

    /// Returns the last step of the repository: `web` for `registry.example/team/web:1`.
    pub fn name(self) -> &'t str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the tag.
    pub fn tag(self) -> Option<&'t str> {
        self.tag
    }

    /// Returns the text after `@`.
    pub fn digest(self) -> Option<&'t str> {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::ImageReference;

    #[test]
    fn splits_repository_tag_and_digest() {
        for (text, repository, name, tag, digest) in [
            ("web", "web", "web", None, None),
            ("web:1.2", "web", "web", Some("1.2"), None),
            (
                "team/web@sha256:01",
                "team/web",
                "web",
                None,
                Some("sha256:01"),
            ),
            (
                "a.b/web:1@sha256:01",
                "a.b/web",
                "web",
                Some("1"),
                Some("sha256:01"),
            ),
            (
                "111122223333.dkr.ecr.eu-central-1.amazonaws.com/coins:1.2",
                "111122223333.dkr.ecr.eu-central-1.amazonaws.com/coins",
                "coins",
                Some("1.2"),
                None,
            ),
            // A registry's port is not a tag.
            (
                "localhost:5000/web",
                "localhost:5000/web",
                "web",
                None,
                None,
            ),
            (
                "localhost:5000/web:1",
                "localhost:5000/web",
                "web",
                Some("1"),
                None,
            ),
            (
                "localhost:5000/team/coins@sha256:abc",
                "localhost:5000/team/coins",
                "coins",
                None,
                Some("sha256:abc"),
            ),
            ("", "", "", None, None),
        ] {
            let image = ImageReference::parse(text);
            assert_eq!(
                (
                    image.repository(),
                    image.name(),
                    image.tag(),
                    image.digest()
                ),
                (repository, name, tag, digest),
                "{text}"
            );
        }
    }
}
