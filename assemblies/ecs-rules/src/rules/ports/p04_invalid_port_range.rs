use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, ports};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P04",
    name: "invalid-port-range",
    severity: Severity::Error,
    title: "port range is reversed or too large",
    explanation: "A range is written first-last with first less than last. A container has at most \
                  100 ranges. Ranges work with bridge and awsvpc.",
    source: "ECS API, PortMapping, field containerPortRange",
    hint: "Use for example 8000-8010.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPortRange": "8000-8010" }] }]
}"#,
    // The limits are reversed.
    failing: Failing::Change(
        r#""containerPortRange": "8000-8010""#,
        r#""containerPortRange": "8010-8000""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container, port) in ports(located) {
        let Some(text) = &port.container_port_range else {
            continue;
        };
        let pointer = format!("{pointer}/containerPortRange");
        let hint = "write first-last, from 1 to 65535, as in 8000-8010";

        match text
            .split_once('-')
            .map(|(a, b)| (a.parse::<u32>(), b.parse::<u32>()))
        {
            Some((Ok(first), Ok(last))) if first >= 1 && first < last && last <= 65_535 => {}
            Some((Ok(first), Ok(last))) if first >= last => {
                let message = format!(
                    "the range `{text}` of `{}` is not ascending",
                    container.name
                );
                report.add(pointer.clone(), message, hint);
                // Reversed limits have one obvious correction; equal ones may be a single port or a
                // typo.
                if first > last && last >= 1 && first <= 65_535 {
                    report.fix_value(pointer, Some(&format!("{last}-{first}")));
                }
            }
            _ => report.add(pointer, format!("`{text}` is not a port range"), hint),
        }
    }

    for (pointer, container) in containers(located) {
        let ranges = container
            .port_mappings
            .iter()
            .filter(|port| port.container_port_range.is_some());
        if ranges.count() > 100 {
            let message = format!("`{}` has more than 100 port ranges", container.name);
            report.add(
                format!("{pointer}/portMappings"),
                message,
                "merge some of them",
            );
        }
    }
}
