use super::{Report, Rule, containers};
use crate::finding::Severity;
use crate::read::Located;

pub(super) const RULE: Rule = Rule {
    id: "C15",
    severity: Severity::Error,
    title: "words of a container are words that ECS knows",
    explanation: "versionConsistency is enabled or disabled, resources are GPU, \
                  InferenceAccelerator or NeuronDevice, permissions of a device are read, write \
                  and mknod: each written exactly so.",
    source: "ECS API, ContainerDefinition, enumerations; cfn-lint E3030",
    hint: "Use one of the words in the message.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "versionConsistency": "enabled", "memory": 128 }]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "versionConsistency": "on", "memory": 128 }]
}"#,
    check,
};

fn check(located: &Located, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let consistency = one.version_consistency.as_deref();
        report.word(
            &format!("{pointer}/versionConsistency"),
            consistency,
            &["enabled", "disabled"],
        );

        for (index, wanted) in one.resource_requirements.iter().enumerate() {
            let pointer = format!("{pointer}/resourceRequirements/{index}/type");
            report.word(
                &pointer,
                Some(&wanted.kind),
                &["GPU", "InferenceAccelerator", "NeuronDevice"],
            );
        }

        let devices = one.linux_parameters.iter().flat_map(|linux| &linux.devices);
        for (index, device) in devices.enumerate() {
            for (number, word) in device.permissions.iter().enumerate() {
                let pointer =
                    format!("{pointer}/linuxParameters/devices/{index}/permissions/{number}");
                report.word(&pointer, Some(word), &["read", "write", "mknod"]);
            }
        }
    }
}
