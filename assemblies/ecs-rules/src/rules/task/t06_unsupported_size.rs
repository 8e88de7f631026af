use diagnostics::Severity;
use task_definition::LocatedDefinition;
use task_definition::fargate_sizes::{
    Size, is_supported, parse_cpu, parse_memory, row, sizes, smallest,
};

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T06",
    name: "unsupported-size",
    severity: Severity::Error,
    title: "unsupported CPU/memory combination",
    explanation: "Fargate supports fixed combinations of CPU and memory. ECS rejects others with \
                  \"No Fargate configuration exists for given values.\" and does not name a \
                  supported combination.",
    source: "ECS developer guide, task CPU and memory; cfn-lint E3047",
    hint: "Choose the next larger size.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "512",
  "memory": "2048",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // 1536 MiB is between two sizes.
    failing: Failing::Change(r#""memory": "2048""#, r#""memory": "1536""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let (Some(cpu_text), Some(memory_text)) = (&definition.cpu, &definition.memory) else {
        return;
    };

    if !definition.is_fargate() {
        return;
    }

    let cpu = read(
        cpu_text,
        parse_cpu(cpu_text),
        "/cpu",
        "\"256\" or \".25 vCPU\"",
        report,
    );

    let memory = read(
        memory_text,
        parse_memory(memory_text),
        "/memory",
        "\"512\" or \"1 GB\"",
        report,
    );

    let (Some(cpu), Some(memory)) = (cpu, memory) else {
        return;
    };
    if !is_supported(Size { cpu, memory }) {
        report_unsupported(cpu, memory, report);
    } else if definition.is_windows() && !(1024..=4096).contains(&cpu) {
        let message = format!("{cpu} CPU units: Windows tasks support 1024, 2048 or 4096");
        report.add("/cpu", message, "choose \"1024\", \"2048\" or \"4096\"");
    }
}

fn read(
    text: &str,
    parsed: Option<u32>,
    pointer: &str,
    form: &str,
    report: &mut Report,
) -> Option<u32> {
    if parsed.is_none() {
        report.add(
            pointer,
            format!("`{text}` is not a valid amount"),
            format!("write {form}"),
        );
    }
    parsed
}

fn report_unsupported(cpu: u32, memory: u32, report: &mut Report) {
    // If the CPU value exists, the memory value is the wrong one.
    let pointer = if row(cpu).is_some() {
        "/memory"
    } else {
        "/cpu"
    };
    let message = format!("{cpu} CPU units with {memory} MiB is not a Fargate size");
    report.add(
        pointer,
        message,
        format!("choose {}", nearest_sizes(cpu, memory).join(" or ")),
    );
}

/// Returns the next larger and the next smaller size, the larger one first.
fn nearest_sizes(cpu: u32, memory: u32) -> Vec<String> {
    let up = smallest(cpu, memory);
    let down = row(cpu).and_then(|row| {
        let lower = row.memory.iter().rev().find(|mib| **mib < memory)?;
        Some(Size {
            cpu,
            memory: *lower,
        })
    });
    let largest = sizes().last().and_then(|row| {
        Some(Size {
            cpu: row.cpu,
            memory: *row.memory.last()?,
        })
    });

    let mut found: Vec<_> = up.into_iter().chain(down).collect();
    // Beyond the largest size there is no next one.
    found.extend(largest.filter(|_| found.is_empty()));
    found
        .iter()
        .map(|size| format!("{} / {}", size.cpu, size.memory))
        .collect()
}
