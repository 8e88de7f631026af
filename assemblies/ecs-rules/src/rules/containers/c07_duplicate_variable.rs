use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C07",
    name: "duplicate-variable",
    severity: Severity::Error,
    title: "environment variable set twice",
    explanation: "A variable that occurs twice in environment, twice in secrets, or in both has two \
                  values, and which one the program sees is undefined.",
    source: "ECS API, ContainerDefinition, fields environment and secrets; cfn-lint E3002",
    hint: "Remove one of them.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "app:1",
      "environment": [{ "name": "LEVEL", "value": "info" }],
      "memory": 128
    }
  ]
}"#,
    // LEVEL has two different values in one list.
    failing: Failing::Change(
        r#""environment": [{ "name": "LEVEL", "value": "info" }]"#,
        r#""environment": [{ "name": "LEVEL", "value": "info" }, { "name": "LEVEL", "value": "debug" }]"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (at, container) in containers(located) {
        let plain = container.environment.iter().enumerate();
        let secret = container.secrets.iter().enumerate();
        let all = plain
            .map(|(index, container)| ("environment", index, &container.name))
            .chain(secret.map(|(index, container)| ("secrets", index, &container.name)));
        // Environment first: a duplicate in secrets then refers to the plain value.
        let mut seen: Vec<(&str, &String)> = Vec::new();

        for (list, index, name) in all {
            let pointer = format!("{at}/{list}/{index}/name");
            match seen.iter().find(|(_, other)| *other == name) {
                Some((first, _)) if *first == list => {
                    let message =
                        format!("`{name}` occurs twice in {list} of `{}`", container.name);
                    report.add(pointer, message, "remove one of them");
                }
                Some(_) => {
                    let message = format!(
                        "`{name}` of `{}` is set in environment and in secrets",
                        container.name
                    );
                    report.add(pointer, message, "remove it from environment");
                    let plain = container
                        .environment
                        .iter()
                        .position(|variable| variable.name == *name);
                    // The secret is the safe choice, so removing the plain value needs no decision.
                    if let Some(plain) = plain {
                        let edits = vec![Edit::Remove(format!("{at}/environment/{plain}"))];
                        report.fix(format!("remove the plain `{name}`"), edits);
                    }
                }
                None => seen.push((list, name)),
            }
        }
    }
}
