use super::{Report, Rule, as_name, containers, is_name};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "C01",
    severity: Severity::Error,
    title: "a container has a name of 1 to 255 letters, digits, hyphens and underscores",
    explanation: "Other containers, load balancers and logs call the container by its name. ECS \
                  refuses any other character.",
    source: "ECS API, ContainerDefinition, field name",
    hint: "Use letters, digits, - and _ only, at most 255.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "my-app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "my.app", "image": "app:1", "memory": 128 }]
}"#,
    check,
};

fn check(located: &Located, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let name = &one.name;
        if name.is_empty() {
            let hint = "add \"name\": \"app\"";
            report.add(format!("{pointer}/name"), "a container has no name", hint);
        } else if !is_name(name) {
            let hint = format!(
                "use letters, digits, - and _, at most 255; try `{}`",
                as_name(name)
            );
            report.add(
                format!("{pointer}/name"),
                format!("`{name}` cannot be a name"),
                hint,
            );
        }
    }
}
