//! An image reference, as far as a lock has to understand it.

/// Whether a reference says less than a digest: it names a tag, or nothing, and may change its meaning.
pub fn is_mutable(image: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:/".contains(letter);
    !image.is_empty() && image.chars().all(is_plain)
}

/// What stands before the tag.
pub(super) fn repository(image: &str) -> &str {
    split(image).0
}

/// The tag; `latest` where none is written.
pub(super) fn tag(image: &str) -> &str {
    split(image).1.unwrap_or("latest")
}

/// The last colon begins a tag, unless a slash comes after it: then it was a port.
fn split(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_tag() {
        assert_eq!(repository("localhost:5000/web"), "localhost:5000/web");
        assert_eq!(tag("localhost:5000/web"), "latest");
        assert_eq!(repository("localhost:5000/web:1.2"), "localhost:5000/web");
        assert_eq!(tag("localhost:5000/web:1.2"), "1.2");
    }

    #[test]
    fn a_digest_and_a_placeholder_are_not_open() {
        assert!(!is_mutable("web@sha256:00"));
        assert!(!is_mutable("<image>"));
        assert!(is_mutable("web") && is_mutable("registry.example/web:1"));
    }
}
