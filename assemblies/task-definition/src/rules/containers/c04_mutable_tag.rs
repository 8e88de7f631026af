use crate::finding::Severity;
use crate::placeholder::find_placeholder;
use crate::read::LocatedDefinition;
use crate::rules::shared::containers;
use crate::rules::{Check, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    id: "C04",
    name: "mutable-tag",
    severity: Severity::Warning,
    title: "image tag is mutable",
    explanation: "A tag such as latest, or no tag, means whatever was pushed last. ECS pins a \
                  tag to a digest for the tasks of one service deployment, but only while \
                  versionConsistency is not disabled, and the next deployment may get another \
                  image with the same definition.",
    source: "ECS API, ContainerDefinition, fields image and versionConsistency; developer \
                  guide, container image resolution",
    hint: "Write a version tag or a digest.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1.4.2", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:latest", "memory": 128 }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        // A reference that is none (C03) has no tag to speak of, and a digest needs none.
        if one.image.contains('@') || !one.image.chars().all(is_plain) || one.image.is_empty() {
            continue;
        }

        let name = one.image.rsplit('/').next().unwrap_or_default();
        if find_placeholder(name).is_some() {
            continue;
        }

        let tag = name.split_once(':').map(|(_, tag)| tag);
        let hint = "write the tag of a version, or a digest";
        match tag {
            None => {
                let message = format!("the image `{}` has no tag, which means latest", one.image);
                report.add(format!("{pointer}/image"), message, hint);
            }
            Some("latest") => {
                let message = format!("the image `{}` changes whenever somebody pushes", one.image);
                report.add(format!("{pointer}/image"), message, hint);
            }
            Some(_) if one.version_consistency.as_deref() == Some("disabled") => {
                let message = "versionConsistency is off: tasks of one deployment may differ";
                report.add(
                    format!("{pointer}/versionConsistency"),
                    message,
                    "remove it, or write a digest",
                );
            }
            Some(_) => {}
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:./#".contains(c)
}
