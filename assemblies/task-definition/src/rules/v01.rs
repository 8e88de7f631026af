use super::{Report, Rule, as_name, is_name};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "V01",
    severity: Severity::Error,
    title: "a volume's name is its own, of 1 to 255 letters, digits, hyphens and underscores",
    explanation: "Mount points find the volume by its name.",
    source: "ECS API, Volume, field name; cfn-lint E3037",
    hint: "Rename it.",
    passing: r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "volumes": [{ "name": "scratch" }, { "name": "scratch" }],
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    check,
};

fn check(located: &Located, report: &mut Report) {
    let volumes = &located.definition.volumes;
    for (index, volume) in volumes.iter().enumerate() {
        let pointer = format!("/volumes/{index}/name");
        let name = &volume.name;
        if !is_name(name) {
            let hint = format!(
                "use letters, digits, - and _, at most 255; try `{}`",
                as_name(name)
            );
            report.add(
                pointer,
                format!("`{name}` cannot be the name of a volume"),
                hint,
            );
        } else if volumes[..index].iter().any(|one| one.name == *name) {
            report.add(
                pointer,
                format!("two volumes are called `{name}`"),
                "rename one of them",
            );
        }
    }
}
