use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I08",
    name: "large-image",
    severity: Severity::Warning,
    title: "images delay every start of the task",
    explanation: "Fargate keeps no images: every task pulls those of all its containers completely before it \
                  starts, at every scale-out and every replacement. AWS recommends lazy loading \
                  (SOCI) from 250 MiB of compressed layers on; a published measurement of a 413 MB \
                  image is 57 s until it runs.",
    source: "ECS developer guide, container image pull behavior on Fargate; AWS containers blog, lazy loading with SOCI (250 MB); elasticscale.com (57 s)",
    hint: "Use a smaller base image, compress with zstd, or create a SOCI index.",
    images: r#"{ "small:1": { "entryPoint": ["/app"], "compressedBytes": 12582912 }, "large:1": { "entryPoint": ["/app"], "compressedBytes": 524288000 } }"#,
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "small:1" }]
}"#,
    // 500 MiB.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "large:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    if !located.definition.is_fargate() || located.definition.is_windows() {
        return;
    }
    let images = report.images();
    for (pointer, container) in containers(located) {
        let bytes = images
            .find_inspected(container)
            .map_or(0, |image| image.compressed_bytes);
        if bytes <= MANY_MIB << 20 {
            continue;
        }

        let message = format!(
            "every task pulls {} MiB for `{}` before it starts",
            bytes >> 20,
            container.name
        );
        let hint = "use a smaller base image, compress with zstd, or create a SOCI index";
        report.add(format!("{pointer}/image"), message, hint);
    }
}

/// The size from which AWS recommends lazy loading, in MiB.
const MANY_MIB: u64 = 250;
