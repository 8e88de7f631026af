use diagnostics::Severity;
use task_definition::{HealthCheck, ImageReference, LocatedDefinition};

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "H07",
    name: "no-tool-in-image",
    severity: Severity::Warning,
    title: "health check uses a tool that the image does not have",
    explanation: "The alpine variants of official images have BusyBox's wget but neither curl nor bash; \
                  the slim variants, debian, ubuntu, most databases and .NET's images have neither \
                  curl nor wget. The check then always fails, and ECS \
                  replaces a healthy container. The rule recognizes official images by name; with \
                  `check --images`, I04 looks into the image itself.",
    source: "Dockerfiles of the official images on Docker Hub",
    hint: "Install the tool in the image, or use one that it has.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    {
      "name": "app",
      "image": "node:22.11.0-alpine",
      "healthCheck": { "command": ["CMD-SHELL", "wget -q -O /dev/null http://localhost/ || exit 1"] },
      "memory": 128
    }
  ]
}"#,
    // The image has no curl.
    failing: Failing::Change("wget -q -O /dev/null", "curl -f"),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(check) = &container.health_check else {
            continue;
        };
        // I04 looks into an image that was read.
        if report.images().find_inspected(container).is_some() {
            continue;
        }

        let missing = missing_tools(&container.image);
        let used = missing.iter().find(|tool| uses(check, tool));
        if let Some(tool) = used {
            let message = format!(
                "the health check of `{}` needs {tool}, which is not in its image",
                container.name
            );
            let hint = if missing.contains(&"wget") || *tool == "bash" {
                "call a program of the image, or install the tool in an image of your own"
            } else {
                "use wget -q -O /dev/null URL, which the image has"
            };
            report.add(format!("{pointer}/healthCheck/command"), message, hint);
        }
    }
}

/// Returns whether a word of the check is the tool, by name or by path.
fn uses(check: &HealthCheck, tool: &str) -> bool {
    let words = check
        .command
        .iter()
        .skip(1)
        .flat_map(|item| item.split_whitespace());
    let mut names = words.map(|word| word.rsplit('/').next().unwrap_or(word));
    names.any(|name| name == tool)
}

/// Returns the tools that an official image is known to lack.
fn missing_tools(image: &str) -> &'static [&'static str] {
    let reference = ImageReference::parse(image);
    let name = official_name(reference.repository());
    let tag = reference.tag().unwrap_or("latest");
    let is_alpine = tag.contains("alpine");

    match name {
        "alpine" | "busybox" | "caddy" | "traefik" => &["curl", "bash"],
        "debian" | "ubuntu" => &["curl", "wget"],
        // The image of nginx adds curl to all variants but the slim one.
        "nginx" if tag.contains("alpine-slim") => &["curl", "bash"],
        "nginx" if is_alpine => &["bash"],
        "redis" | "postgres" if is_alpine => &["curl"],
        name if is_alpine && ALPINE_VARIANTS.contains(&name) => &["curl", "bash"],
        "node" | "python" | "ruby" | "golang" | "rust" if tag.contains("slim") => &["curl", "wget"],
        "redis" | "postgres" | "memcached" | "haproxy" => &["curl", "wget"],
        "amazonlinux" | "amazoncorretto" => &["wget"],
        _ => missing_tools_of_others(reference.repository(), tag),
    }
}

/// Official images whose alpine variant is Alpine and their program only.
const ALPINE_VARIANTS: [&str; 10] = [
    "node",
    "python",
    "ruby",
    "golang",
    "rust",
    "haproxy",
    "memcached",
    "amazoncorretto",
    "eclipse-temurin",
    "openjdk",
];

/// Returns the tools that an image outside Docker's official ones is known to lack.
fn missing_tools_of_others(repository: &str, tag: &str) -> &'static [&'static str] {
    match repository {
        "envoyproxy/envoy" => &["curl", "wget"],
        "prom/prometheus" => &["curl", "bash"],
        "mcr.microsoft.com/dotnet/aspnet" | "mcr.microsoft.com/dotnet/runtime" => {
            // Microsoft removed curl from the images of .NET 8.
            let is_old = ["3.", "5.", "6.", "7."]
                .iter()
                .any(|version| tag.starts_with(version));
            match (tag.contains("alpine"), is_old) {
                (true, _) => &["curl", "bash"],
                (false, true) => &[],
                (false, false) => &["curl", "wget"],
            }
        }
        "public.ecr.aws/amazonlinux/amazonlinux" => &["wget"],
        _ => &[],
    }
}

/// Returns the name of an official image, without the registry; empty for other images.
fn official_name(repository: &str) -> &str {
    let prefixes = [
        "public.ecr.aws/docker/library/",
        "docker.io/library/",
        "library/",
    ];
    let name = prefixes
        .iter()
        .find_map(|prefix| repository.strip_prefix(prefix));
    let name = name.unwrap_or(repository);
    if name.contains('/') { "" } else { name }
}
