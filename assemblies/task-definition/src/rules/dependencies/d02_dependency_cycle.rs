use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{container, containers};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D02",
    name: "dependency-cycle",
    severity: Severity::Error,
    title: "dependency cycle",
    explanation: "A container that waits for itself never starts. Mounts taken from another \
                  container (volumesFrom) and links are waited for too.",
    source: "Amazon ECS agent, dependency graph; ECS API, ContainerDependency",
    hint: "Remove one of the dependencies.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "one",
      "image": "app:1",
      "dependsOn": [{ "containerName": "two", "condition": "START" }],
      "memory": 128
    },
    { "name": "two", "image": "app:1", "memory": 128 }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "one",
      "image": "app:1",
      "dependsOn": [{ "containerName": "two", "condition": "START" }],
      "memory": 128
    },
    {
      "name": "two",
      "image": "app:1",
      "dependsOn": [{ "containerName": "one", "condition": "START" }],
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mut done: Vec<&str> = Vec::new();
    for (_, one) in containers(located) {
        let Some(circle) = circle(located, &one.name, &mut Vec::new(), &mut done) else {
            continue;
        };
        let Some((pointer, first)) = container(located, circle[0]) else {
            continue;
        };
        let message = format!("containers wait for each other: {}", circle.join(" -> "));
        let field = if first.depends_on.is_empty() {
            "name"
        } else {
            "dependsOn"
        };

        report.add(
            format!("{pointer}/{field}"),
            message,
            "remove one of these dependencies",
        );
    }
}

/// Follows the edges in depth; what has been seen to the end is not followed again.
fn circle<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
    done: &mut Vec<&'l str>,
) -> Option<Vec<&'l str>> {
    if let Some(start) = path.iter().position(|one| *one == name) {
        let mut circle = path[start..].to_vec();
        circle.push(name);
        done.extend(&circle);
        return Some(circle);
    }

    if done.contains(&name) {
        return None;
    }

    let (_, one) = container(located, name)?;
    path.push(name);
    let waits = one.depends_on.iter().map(|one| one.container_name.as_str());
    let mounts = one
        .volumes_from
        .iter()
        .map(|one| one.source_container.as_str());
    let links = one
        .links
        .iter()
        .map(|link| link.split(':').next().unwrap_or(link));

    for next in waits.chain(mounts).chain(links) {
        if let Some(found) = circle(located, next, path, done) {
            return Some(found);
        }
    }

    path.pop();
    done.push(name);
    None
}
