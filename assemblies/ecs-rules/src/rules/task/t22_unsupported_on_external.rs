use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T22",
    name: "unsupported-on-external",
    severity: Severity::Error,
    title: "setting that EXTERNAL lacks",
    explanation: "Servers outside AWS (ECS Anywhere) have neither awsvpc nor volumes of AWS nor App Mesh.",
    source: "ECS developer guide, ECS Anywhere, considerations",
    hint: "Remove EXTERNAL, or the setting.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["EXTERNAL"],
  "networkMode": "bridge",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }]
}"#,
    // awsvpc needs a network interface of a VPC.
    failing: Failing::Change(r#""networkMode": "bridge""#, r#""networkMode": "awsvpc""#),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if !definition
        .requires_compatibilities
        .iter()
        .any(|name| name == "EXTERNAL")
    {
        return;
    }
    if definition.network_mode.as_deref() == Some("awsvpc") {
        let message = "EXTERNAL does not support the network mode awsvpc";
        report.add("/networkMode", message, "write bridge, host or none");
    }
    if definition.proxy_configuration.is_some() {
        let message = "EXTERNAL does not support App Mesh";
        report.add(
            "/proxyConfiguration",
            message,
            "remove `proxyConfiguration`",
        );
    }
    for (index, volume) in definition.volumes.iter().enumerate() {
        for (field, what, is_set) in [
            (
                "efsVolumeConfiguration",
                "EFS",
                volume.efs_volume_configuration.is_some(),
            ),
            (
                "s3filesVolumeConfiguration",
                "S3 Files",
                volume.s3files_volume_configuration.is_some(),
            ),
            (
                "configuredAtLaunch",
                "EBS",
                volume.configured_at_launch == Some(true),
            ),
        ] {
            if is_set {
                let message = format!(
                    "the volume `{}` is {what}, which EXTERNAL does not support",
                    volume.name
                );
                let pointer = format!("/volumes/{index}/{field}");
                report.add(pointer, message, "use a folder of the server");
            }
        }
    }
}
