use diagnostics::Severity;
use task_definition::{ImageReference, LocatedDefinition, find_placeholder};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    id: "C04",
    name: "mutable-tag",
    severity: Severity::Warning,
    title: "image tag is mutable",
    explanation: "A tag such as latest, or no tag, refers to the image that was pushed last. ECS \
                  resolves the tag to a digest once per service deployment, unless \
                  versionConsistency is disabled, so the next deployment of the same definition may \
                  run another image.",
    source: "ECS API, ContainerDefinition, fields image and versionConsistency; developer \
                  guide, container image resolution",
    hint: "Use a version tag or a digest.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1.4.2", "memory": 128 }]
}"#,
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:latest", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        // A malformed reference is C03's, and a digest is immutable.
        if container.image.contains('@')
            || !container.image.chars().all(is_plain)
            || container.image.is_empty()
        {
            continue;
        }

        let name = container.image.rsplit('/').next().unwrap_or_default();
        // A placeholder in the last step may become a tag.
        if find_placeholder(name).is_some() {
            continue;
        }

        let tag = ImageReference::parse(&container.image).tag();
        let hint = "use a version tag or a digest";
        match tag {
            None => {
                let message = format!(
                    "the image `{}` has no tag, which means latest",
                    container.image
                );
                report.add(format!("{pointer}/image"), message, hint);
            }
            Some("latest") => {
                let message = format!("the image `{}` changes with every push", container.image);
                report.add(format!("{pointer}/image"), message, hint);
            }
            Some(_) if container.version_consistency.as_deref() == Some("disabled") => {
                let message = "versionConsistency is disabled: tasks of one deployment may run different images";
                report.add(
                    format!("{pointer}/versionConsistency"),
                    message,
                    "remove it, or use a digest",
                );
            }
            Some(_) => {}
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:./#".contains(c)
}
