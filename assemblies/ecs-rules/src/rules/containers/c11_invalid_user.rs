use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C11",
    name: "invalid-user",
    severity: Severity::Error,
    title: "invalid `user`",
    explanation: "The formats are user, user:group, uid, uid:gid, user:gid and uid:group. Windows \
                  containers do not support the field.",
    source: "ECS API, ContainerDefinition, field user",
    hint: "Use for example 65532 or app:app.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "user": "65532:65532", "memory": 128 }]
}"#,
    // The group after the colon is missing.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "user": "65532:", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(user) = &container.user else {
            continue;
        };
        let parts: Vec<_> = user.split(':').collect();
        let pointer = format!("{pointer}/user");
        if located.definition.is_windows() {
            report.add(
                pointer,
                "Windows containers do not support `user`",
                "remove it",
            );
        } else if parts.len() > 2 || !parts.iter().all(|part| is_user_part(part)) {
            let hint = "write user, uid, user:group or uid:gid; numbers are not negative";
            report.add(pointer, format!("`{user}` is not a valid user"), hint);
        }
    }
}

fn is_user_part(text: &str) -> bool {
    // A leading hyphen would make a negative number.
    let has_valid_start = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    has_valid_start
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-$\\".contains(c))
}
