use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, ports};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P04",
    name: "invalid-port-range",
    severity: Severity::Error,
    title: "port range is reversed or too large",
    explanation: "A range is written first-last with first less than last, and works with bridge \
                  and awsvpc.",
    source: "ECS API, PortMapping, field containerPortRange",
    hint: "Write for example 8000-8010.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPortRange": "8000-8010" }] }]
}"#,
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "portMappings": [{ "containerPortRange": "8010-8000" }] }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one, port) in ports(located) {
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
                let message = format!("the range `{text}` of `{}` does not go up", one.name);
                report.add(pointer.clone(), message, hint);
                if first > last && last >= 1 && first <= 65_535 {
                    report.fix_value(pointer, Some(&format!("{last}-{first}")));
                }
            }
            _ => report.add(pointer, format!("`{text}` is no range of ports"), hint),
        }
    }

    for (pointer, one) in containers(located) {
        let ranges = one
            .port_mappings
            .iter()
            .filter(|port| port.container_port_range.is_some());
        if ranges.count() > 100 {
            let message = format!("`{}` has more than 100 ranges of ports", one.name);
            report.add(
                format!("{pointer}/portMappings"),
                message,
                "join some of them",
            );
        }
    }
}
