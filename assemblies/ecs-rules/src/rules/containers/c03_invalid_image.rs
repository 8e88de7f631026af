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
                  255 characters. The repository is in lower case, its parts are separated by single \
                  slashes, and it has no scheme. ECS registers some malformed references, and the \
                  task stops with \"invalid reference format\".",
    source: "ECS API, ContainerDefinition, field image; CNCF distribution, reference grammar",
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
        } else if let Some((problem, hint)) = find_problem(name) {
            let message = format!("the image reference `{name}` {problem}");
            report.add(&pointer, message, hint);
        // Published examples have such accounts in place of the reader's own.
        } else if let Some(problem) = find_ecr_problem(name) {
            let message = format!("the image reference `{name}` {problem}");
            let hint = "write ACCOUNT.dkr.ecr.REGION.amazonaws.com, with an account of 12 digits";
            report.warn(&pointer, message, hint);
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

/// Returns the violation of the grammar in a reference without its digest, and a hint.
fn find_problem(name: &str) -> Option<(&'static str, String)> {
    if let Some((_, rest)) = name.split_once("://") {
        return Some(("has a scheme", format!("write `{rest}`")));
    }
    let (path, tag) = split_tag(name);
    if tag.is_some_and(str::is_empty) {
        return Some((
            "has an empty tag",
            "write the tag after the colon".to_owned(),
        ));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        let hint = "use up to 128 letters, digits and -_. for the tag, and begin with none of -.";
        return Some(("has an invalid tag", hint.to_owned()));
    }

    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        return Some((
            "has an empty part",
            format!(
                "separate the parts with single slashes: `{}`",
                parts.join("/")
            ),
        ));
    }
    if let Some(problem) = find_registry_problem(&parts) {
        return Some(problem);
    }
    let repository = if has_registry(&parts) {
        &parts[1..]
    } else {
        &parts[..]
    };

    if repository
        .iter()
        .any(|part| part.contains(|c: char| c.is_ascii_uppercase()))
    {
        let lower = repository.join("/").to_lowercase();
        return Some((
            "has upper-case letters in its repository",
            format!("write the repository in lower case: `{lower}`"),
        ));
    }
    let is_valid = repository.iter().all(|part| is_component(part));
    let hint = "use lower-case letters and digits, separated by one of . _ __ or hyphens";
    (!is_valid).then(|| ("has an invalid repository", hint.to_owned()))
}

/// Returns whether the first part is a registry: it looks like a host name, which may be in upper case.
fn has_registry(parts: &[&str]) -> bool {
    parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost")
}

/// Returns what is wrong with the registry, and a hint.
fn find_registry_problem(parts: &[&str]) -> Option<(&'static str, String)> {
    let first = parts.first()?;
    if parts.len() == 1 {
        let hint = "add /REPOSITORY after the registry".to_owned();
        return first
            .ends_with(".amazonaws.com")
            .then_some(("is a registry without a repository", hint));
    }

    let port = first.split_once(':').map(|(_, port)| port);
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !is_port(port)) {
        let hint = "write HOST:PORT/REPOSITORY with a port from 1 to 65535".to_owned();
        return Some(("has an invalid port of its registry", hint));
    }
    None
}

/// Returns what is wrong with the host of a private registry of ECR.
fn find_ecr_problem(name: &str) -> Option<&'static str> {
    let (account, rest) = name.split('/').next()?.split_once(".dkr.ecr")?;
    // Another host than an account's may be a mirror; one with digits only is meant as an account.
    let is_digits = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && account.len() != 12 {
        return Some("has an account that is not 12 digits");
    }
    rest.starts_with(".amazonaws.com")
        .then_some("has no region in its registry")
}

/// Splits the tag off; a colon before the last slash belongs to the port of the registry.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].split_once(':') {
        Some((step, tag)) => (&name[..last + step.len()], Some(tag)),
        None => (name, None),
    }
}

fn is_tag(tag: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    tag.len() <= 128 && !tag.starts_with(['.', '-']) && tag.chars().all(allowed)
}

/// Returns whether a part of a repository is letters and digits with separators between them.
fn is_component(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators: Vec<&str> = part
        .split(is_word)
        .filter(|text| !text.is_empty())
        .collect();
    let is_separator =
        |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    part.starts_with(is_word) && part.ends_with(is_word) && separators.into_iter().all(is_separator)
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

#[cfg(test)]
mod tests {
    use super::find_problem;

    #[test]
    fn follows_the_grammar_of_references() {
        for right in [
            "app",
            "app:1.2",
            "team/my_app__x/a--b.c:1",
            "localhost:5000/app:V1",
            "localhost/app",
            "Registry.Example:443/app",
            "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/web:1",
        ] {
            assert_eq!(find_problem(right), None, "{right}");
        }

        for wrong in [
            "registry.example.com/team//web:1",
            "https://registry.example.com/web:1",
            "registry.example.com/web:",
            "/web:1",
            "web/",
            "MyApp:1",
            "registry.example.com/Team/web",
            "web:1:2",
            "web:-1",
            "web.:1",
            "a..b",
            "a___b",
        ] {
            assert!(find_problem(wrong).is_some(), "{wrong}");
        }
    }
}
