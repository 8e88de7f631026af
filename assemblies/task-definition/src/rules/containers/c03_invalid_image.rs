use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C03",
    name: "invalid-image",
    severity: Severity::Error,
    title: "image reference is missing or malformed",
    explanation: "The reference is up to 255 characters: registry, repository and a tag, or a \
                  digest of sha256: and 64 hexadecimal digits. With a digest the 255 count only \
                  what stands before the @.",
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
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app@sha256:94af", "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let pointer = format!("{pointer}/image");
        let (name, digest) = match one.image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (one.image.as_str(), None),
        };

        if one.image.is_empty() {
            let message = format!("`{}` has no image", one.name);
            report.add(
                &pointer,
                message,
                "add \"image\": \"registry/repository:tag\"",
            );
        } else if name.len() > 255 {
            let message = format!("the image reference has {} of 255 characters", name.len());
            report.add(&pointer, message, "shorten it");
        } else if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
            let message = format!("the image reference holds `{bad}`");
            report.add(&pointer, message, "use letters, digits and -_:./# only");
        }

        if let Some(wrong) = digest.and_then(wrong_with) {
            report.add(
                &pointer,
                wrong,
                "copy the whole digest: sha256: and 64 hexadecimal digits",
            );
        }
    }
}

fn allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:./#".contains(c)
}

fn wrong_with(digest: &str) -> Option<String> {
    let Some(hex) = digest.strip_prefix("sha256:") else {
        return Some("the digest does not begin with `sha256:`".to_owned());
    };
    let digits = hex.chars().filter(char::is_ascii_hexdigit).count();
    if digits != hex.chars().count() {
        return Some("the digest holds something else than hexadecimal digits".to_owned());
    }
    (digits != 64).then(|| format!("the digest has {digits} hexadecimal digits, needs 64"))
}
