use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C03",
    name: "invalid-image",
    severity: Severity::Error,
    title: "image reference is missing or malformed",
    explanation: "The reference has at most 255 characters: registry, repository, and a tag or a \
                  digest of sha256: and 64 hexadecimal digits. The digest does not count towards the \
                  255 characters.",
    source: "ECS API, ContainerDefinition, field image",
    hint: "Write registry/repository:tag or registry/repository@sha256:….",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "memory": 128
    }
  ]
}"#,
    // A shortened digest, as tools print it.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app@sha256:94af", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let pointer = format!("{pointer}/image");
        // The 255 characters count the reference without its digest.
        let (name, digest) = match container.image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (container.image.as_str(), None),
        };

        if container.image.is_empty() {
            let message = format!("`{}` has no image", container.name);
            report.add(
                &pointer,
                message,
                "add \"image\": \"registry/repository:tag\"",
            );
        } else if name.len() > 255 {
            let message = format!("the image reference has {} of 255 characters", name.len());
            report.add(&pointer, message, "shorten it");
        } else if let Some(bad) = name.chars().find(|c| !is_allowed(*c)) {
            let message = format!("the image reference contains `{bad}`");
            report.add(&pointer, message, "use letters, digits and -_:./# only");
        }

        if let Some(message) = digest.and_then(check_digest) {
            report.add(
                &pointer,
                message,
                "copy the whole digest: sha256: and 64 hexadecimal digits",
            );
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:./#".contains(c)
}

fn check_digest(digest: &str) -> Option<String> {
    let Some(hex) = digest.strip_prefix("sha256:") else {
        return Some("the digest does not begin with `sha256:`".to_owned());
    };
    let digits = hex.chars().filter(char::is_ascii_hexdigit).count();
    if digits != hex.chars().count() {
        return Some("the digest contains characters other than hexadecimal digits".to_owned());
    }
    (digits != 64).then(|| format!("the digest has {digits} hexadecimal digits, needs 64"))
}
