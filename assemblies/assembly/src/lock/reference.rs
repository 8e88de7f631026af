//! The parts of an image reference that a lock needs.

use task_definition::ImageReference;

/// Returns whether a reference is mutable: it has a tag or nothing instead of a digest.
pub fn is_mutable(image: &str) -> bool {
    // `@` of a digest is not among them.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    !image.is_empty() && image.chars().all(is_plain)
}

/// Returns the tag; the default is `latest`.
pub(super) fn tag(image: &str) -> &str {
    ImageReference::parse(image).tag().unwrap_or("latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_a_tag() {
        assert_eq!(tag("localhost:5000/web"), "latest");
        assert_eq!(tag("localhost:5000/web:1.2"), "1.2");
    }

    #[test]
    fn digests_and_placeholders_are_not_mutable() {
        assert!(!is_mutable("web@sha256:00"));
        assert!(!is_mutable("<image>"));
        assert!(is_mutable("web") && is_mutable("registry.example/web:1"));
    }
}
