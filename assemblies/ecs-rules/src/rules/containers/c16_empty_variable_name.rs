use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C16",
    name: "empty-variable-name",
    severity: Severity::Error,
    title: "environment variable has no valid name",
    explanation: "A variable without a name is rejected. In a name that contains = the part after it \
                  becomes the beginning of the value. No shell and few programs can read a name with \
                  a space, a dollar sign or a line break.",
    source: "ECS API, KeyValuePair and Secret; environ(7)",
    hint: "Write the name of the variable.",
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
    // The name is empty.
    failing: Failing::Change(r#""name": "LEVEL""#, r#""name": """#),
    check: Check::Definition(check),
    needs_whole_definition: true,
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (at, container) in containers(located) {
        let plain = container.environment.iter().map(|variable| &variable.name);
        let secret = container.secrets.iter().map(|secret| &secret.name);
        let plain = plain.enumerate().map(|found| ("environment", found));
        let secret = secret.enumerate().map(|found| ("secrets", found));

        for (list, (index, name)) in plain.chain(secret) {
            let pointer = format!("{at}/{list}/{index}/name");
            if name.trim().is_empty() {
                let message = format!("a variable of `{}` has no name", container.name);
                report.add(pointer, message, "write its name, or remove it");
            } else if name.contains('=') {
                let message = format!(
                    "the variable `{name}` of `{}` has `=` in its name",
                    container.name
                );
                report.add(pointer, message, "put the part after `=` into the value");
            } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '$') {
                let message = format!(
                    "the variable `{}` of `{}` has a character that no program expects in a name",
                    name.escape_debug(),
                    container.name
                );
                report.warn(pointer, message, "use letters, digits and _");
            }
        }
    }
}
