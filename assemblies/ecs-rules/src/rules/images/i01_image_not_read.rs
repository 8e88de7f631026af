use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::images::Inspection;
use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I01",
    name: "image-not-read",
    severity: Severity::Warning,
    title: "image could not be read",
    explanation: "`check --images` evaluates the rules about the content of images only for images that it can \
                  read. This image could not be read, so none of these rules was evaluated for its \
                  container.",
    source: "assemble check --images",
    hint: "Do what the reason asks for, or name a layout or an archive with `--image CONTAINER=SOURCE`.",
    images: r#"{ "app:2": { "unread": "no such image", "advice": "push the image" }, "app:1": { "entryPoint": ["/app"] } }"#,
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The registry has no tag `2`.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:2", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let name = &container.name;
        let (message, advice) = match report.images().inspection(container) {
            Some(Inspection::Unread { unread, advice }) => (
                format!(
                    "the image of `{name}` could not be read, so its content was not checked: {unread}"
                ),
                advice,
            ),
            Some(Inspection::Read(image)) => match &image.unread_files {
                Some(why) => (
                    format!(
                        "the layers of the image of `{name}` could not be read, so its files were not checked: {why}"
                    ),
                    &image.unread_files_advice,
                ),
                None => continue,
            },
            None => continue,
        };

        let advice = advice.as_deref().unwrap_or("correct the image");
        let hint = format!("{advice}, or pass `--image {name}=SOURCE` with a layout or an archive");
        report.add(format!("{pointer}/image"), message, hint);
    }
}
