use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{container, containers};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "D02",
    name: "dependency-cycle",
    severity: Severity::Error,
    title: "dependency cycle",
    explanation: "A container that waits for itself never starts. volumesFrom and links are \
                  dependencies too.",
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
    // one and two depend on each other.
    failing: Failing::Change(
        r#"{ "name": "two", "image": "app:1", "memory": 128 }"#,
        r#"{
      "name": "two",
      "image": "app:1",
      "dependsOn": [{ "containerName": "one", "condition": "START" }],
      "memory": 128
    }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mut done: Vec<&str> = Vec::new();
    for (_, start) in containers(located) {
        let Some(cycle) = cycle(located, &start.name, &mut Vec::new(), &mut done) else {
            continue;
        };
        let Some((pointer, first)) = container(located, cycle[0]) else {
            continue;
        };
        let message = format!("containers wait for each other: {}", cycle.join(" -> "));
        // A cycle through volumesFrom or links has no dependsOn to point to.
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

/// Searches depth-first for a cycle. Containers that were visited completely are skipped.
fn cycle<'l>(
    located: &'l LocatedDefinition,
    name: &'l str,
    path: &mut Vec<&'l str>,
    done: &mut Vec<&'l str>,
) -> Option<Vec<&'l str>> {
    if let Some(start) = path.iter().position(|visited| *visited == name) {
        let mut cycle = path[start..].to_vec();
        cycle.push(name);
        // Each cycle is reported once.
        done.extend(&cycle);
        return Some(cycle);
    }

    if done.contains(&name) {
        return None;
    }

    let (_, current) = container(located, name)?;
    path.push(name);
    let waits = current
        .depends_on
        .iter()
        .map(|edge| edge.container_name.as_str());
    let mounts = current
        .volumes_from
        .iter()
        .map(|from| from.source_container.as_str());
    // A link is written `name:alias`.
    let links = current
        .links
        .iter()
        .map(|link| link.split(':').next().unwrap_or(link));

    for next in waits.chain(mounts).chain(links) {
        if let Some(found) = cycle(located, next, path, done) {
            return Some(found);
        }
    }

    path.pop();
    done.push(name);
    None
}
