use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C15",
    name: "unknown-enum-value",
    severity: Severity::Error,
    title: "unknown enum value in a container",
    explanation: "versionConsistency is enabled or disabled; the type of a resource requirement is \
                  GPU, InferenceAccelerator or NeuronDevice; device permissions are read, write and \
                  mknod. The values are case-sensitive.",
    source: "ECS API, ContainerDefinition, enumerations; cfn-lint E3030",
    hint: "Use one of the values in the message.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "versionConsistency": "enabled", "memory": 128 }]
}"#,
    // `on` in place of `enabled`.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "versionConsistency": "on", "memory": 128 }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let consistency = container.version_consistency.as_deref();
        report.check_enum(
            &format!("{pointer}/versionConsistency"),
            consistency,
            &["enabled", "disabled"],
        );

        for (index, requirement) in container.resource_requirements.iter().enumerate() {
            let pointer = format!("{pointer}/resourceRequirements/{index}/type");
            report.check_enum(
                &pointer,
                Some(&requirement.kind),
                &["GPU", "InferenceAccelerator", "NeuronDevice"],
            );
        }

        // Devices are EC2 only (X01), but their values are checked for every platform.
        let devices = container
            .linux_parameters
            .iter()
            .flat_map(|linux| &linux.devices);
        for (index, device) in devices.enumerate() {
            for (number, word) in device.permissions.iter().enumerate() {
                let pointer =
                    format!("{pointer}/linuxParameters/devices/{index}/permissions/{number}");
                report.check_enum(&pointer, Some(word), &["read", "write", "mknod"]);
            }
        }
    }
}
