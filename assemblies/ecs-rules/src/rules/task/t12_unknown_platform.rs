use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T12",
    name: "unknown-platform",
    severity: Severity::Error,
    title: "unknown runtime platform",
    explanation: "cpuArchitecture is X86_64 or ARM64; operatingSystemFamily is LINUX or a Windows \
                  family. Windows containers do not run on ARM64.",
    source: "ECS API, RuntimePlatform; cfn-lint E3030",
    hint: "Write X86_64 or ARM64, and LINUX.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "runtimePlatform": { "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" },
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // The architecture is in lower case.
    failing: Failing::Change(
        r#""cpuArchitecture": "ARM64""#,
        r#""cpuArchitecture": "arm64""#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(platform) = &located.definition.runtime_platform else {
        return;
    };
    let pointer = "/runtimePlatform";

    report.check_enum(
        &format!("{pointer}/cpuArchitecture"),
        platform.cpu_architecture.as_deref(),
        &ARCHITECTURES,
    );

    let family = platform.operating_system_family.as_deref();
    report.check_enum(
        &format!("{pointer}/operatingSystemFamily"),
        family,
        &OPERATING_SYSTEMS,
    );

    // Each value is valid on its own, but AWS offers Windows on x86 only.
    if located.definition.is_windows() && platform.cpu_architecture.as_deref() == Some("ARM64") {
        let message = "Windows containers do not run on ARM64";
        report.add(
            format!("{pointer}/cpuArchitecture"),
            message,
            "write \"X86_64\"",
        );
    }
}

const ARCHITECTURES: [&str; 2] = ["X86_64", "ARM64"];

const OPERATING_SYSTEMS: [&str; 10] = [
    "LINUX",
    "WINDOWS_SERVER_2016_FULL",
    "WINDOWS_SERVER_2019_CORE",
    "WINDOWS_SERVER_2019_FULL",
    "WINDOWS_SERVER_2004_CORE",
    "WINDOWS_SERVER_20H2_CORE",
    "WINDOWS_SERVER_2022_CORE",
    "WINDOWS_SERVER_2022_FULL",
    "WINDOWS_SERVER_2025_CORE",
    "WINDOWS_SERVER_2025_FULL",
];
