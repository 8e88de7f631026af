use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T16",
    name: "invalid-tags",
    severity: Severity::Error,
    title: "too many tags, or a duplicate or reserved key",
    explanation: "A task definition has at most 50 tags. A key has 1 to 128 characters and a value \
                  at most 256: letters, digits, spaces and _.:/=+-@. Keys that begin with aws: are \
                  reserved.",
    source: "ECS API, Tag; cfn-lint E3024, E3032",
    hint: "Rename or remove the tag.",
    passing: r#"{
  "family": "web",
  "tags": [{ "key": "team", "value": "payments" }],
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // The key `team` occurs twice.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "tags": [{ "key": "team", "value": "payments" }, { "key": "team", "value": "search" }],
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let tags = &located.definition.tags;
    if tags.len() > 50 {
        report.add(
            "/tags/50",
            format!("{} tags; a revision can have 50", tags.len()),
            "remove some",
        );
    }

    for (index, tag) in tags.iter().enumerate() {
        let pointer = format!("/tags/{index}/key");
        let key = &tag.key;
        if tags[..index].iter().any(|other| other.key == *key) {
            report.add(
                pointer,
                format!("the tag `{key}` occurs twice"),
                "remove one of them",
            );
        // The prefix is reserved in any case.
        } else if key.to_lowercase().starts_with("aws:") {
            let message = format!("the tag `{key}` begins with `aws:`, which is reserved");
            report.add(pointer, message, "rename it");
        } else if !(1..=128).contains(&key.chars().count()) || !key.chars().all(is_allowed) {
            let hint = "use 1 to 128 letters, digits, spaces and _.:/=+-@";
            report.add(pointer, format!("`{key}` is not a valid tag key"), hint);
        } else if tag.value.chars().count() > 256 || !tag.value.chars().all(is_allowed) {
            let hint = "use up to 256 letters, digits, spaces and _.:/=+-@";
            let message = format!("`{}` is not a valid value of the tag `{key}`", tag.value);
            report.add(format!("/tags/{index}/value"), message, hint);
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c)
}
