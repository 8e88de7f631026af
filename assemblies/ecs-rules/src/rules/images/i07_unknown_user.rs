use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I07",
    name: "unknown-user",
    severity: Severity::Error,
    title: "image has no user of this name",
    explanation: "A user in `user`, or in the image's own configuration, may be a name. The container is not \
                  created if /etc/passwd of the image has no such name: CannotCreateContainerError, \
                  unable to find user. Images built from scratch often have no /etc/passwd.",
    source: "ECS API, ContainerDefinition, field user; OCI image specification, config.md, User",
    hint: "Write the number of the user.",
    images: r#"{ "app:1": { "entryPoint": ["/app"], "files": { "programs": ["/app"], "users": { "app": 1000 } } } }"#,
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "user": "app", "memory": 128 }]
}"#,
    // The image only has `app`.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "user": "web", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    for (pointer, container) in containers(located) {
        let Some(image) = images.find_inspected(container) else {
            continue;
        };
        let (Some(files), Some(user)) = (&image.files, image.user_of(container)) else {
            continue;
        };
        if user.parse::<u32>().is_ok() || files.users.contains_key(user) {
            continue;
        }

        let message = format!(
            "`{}` runs as `{user}`, which is not in /etc/passwd of its image",
            container.name
        );
        let field = if container.user.is_some() {
            "user"
        } else {
            "image"
        };
        let hint = "write the number of the user, or add the user to the image";
        report.add(format!("{pointer}/{field}"), message, hint);
    }
}
