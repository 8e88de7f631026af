use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, platform_of};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "I05",
    name: "wrong-platform",
    severity: Severity::Error,
    title: "image is not built for the platform of the task",
    explanation: "A task runs on the platform of runtimePlatform, x86-64 Linux by default. An image for another \
                  one cannot be pulled (CannotPullContainerError: image Manifest does not contain \
                  descriptor matching platform), or its program ends with `exec format error`.",
    source: "ECS API, RuntimePlatform; ECS developer guide, CannotPullContainer task errors",
    hint: "Build the image for this platform, or change runtimePlatform.",
    images: r#"{ "app:1": { "entryPoint": ["/app"], "platforms": ["linux/arm64"] } }"#,
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "runtimePlatform": { "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" },
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // Built on a laptop with an ARM processor.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let images = report.images();
    let platform = platform_of(&located.definition);
    for (pointer, container) in containers(located) {
        let Some(image) = images.find_inspected(container) else {
            continue;
        };
        if image.platforms.is_empty() || image.platforms.contains(&platform) {
            continue;
        }

        let available: Vec<&str> = image.platforms.iter().map(String::as_str).collect();
        let message = format!(
            "the image of `{}` is for {} only, and the task runs on {platform}",
            container.name,
            available.join(", ")
        );
        let hint = format!("build the image for {platform} too, or change runtimePlatform");
        report.add(format!("{pointer}/image"), message, hint);
    }
}
