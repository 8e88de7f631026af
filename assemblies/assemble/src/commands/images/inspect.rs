//! `assemble images inspect`: shows an image of a registry, a layout or an archive.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use registry::{ImageSource, OpenedImage, Platform, format_bytes};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::images::Images;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `images inspect`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Image reference, oci:FOLDER[:NAME], or a folder or archive as ./PATH.
    #[arg(value_name = "SOURCE")]
    source: ImageSource,
    /// Platform to show [default: the first one].
    #[arg(long, value_name = "OS/ARCHITECTURE", value_parser = parse_platform)]
    platform: Option<Platform>,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object (see docs/images.md).
    Json,
}

/// Prints the image. Layers are not downloaded.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let images = Images::new(project, ui)?;
    let image = images.open(&arguments.source, arguments.platform.as_ref())?;

    ui.data(&match arguments.format {
        Format::Text => text(&image),
        Format::Json => format!("{:#}\n", json(&image)),
    });
    Ok(0)
}

/// Parses `linux/arm64`.
pub(super) fn parse_platform(text: &str) -> Result<Platform, String> {
    match text.split_once('/') {
        Some((system, architecture)) if !system.is_empty() && !architecture.is_empty() => {
            Ok(Platform::new(system, architecture))
        }
        _ => Err("expected OS/ARCHITECTURE, such as linux/arm64".to_owned()),
    }
}

/// Formats an image as a table of its fields and a table of its layers.
fn text(image: &OpenedImage) -> String {
    let config = image.config();
    let container = &config.config;
    let layers = &image.manifest().layers;
    let platforms: Vec<&str> = image.platforms().iter().map(Platform::as_str).collect();
    let size = format!(
        "{} compressed, {} layers",
        format_bytes(image.compressed_bytes()),
        layers.len()
    );

    let mut rows = vec![
        ("image", image.source().to_string()),
        ("digest", image.digest().to_string()),
        ("manifest", image.manifest_digest().to_string()),
        ("platform", config.platform().name()),
        ("platforms", platforms.join(", ")),
        ("created", config.created.clone().unwrap_or_default()),
        ("size", size),
        ("user", or(&container.user, "root")),
        ("entry point", words(&container.entrypoint)),
        ("command", words(&container.cmd)),
        ("directory", or(&container.working_dir, "/")),
        ("stop signal", or(&container.stop_signal, "SIGTERM")),
        ("ports", keys(container.exposed_ports.keys())),
        ("volumes", keys(container.volumes.keys())),
        ("health check", health_check(container.healthcheck.as_ref())),
    ];
    rows.extend(
        container
            .env
            .iter()
            .map(|variable| ("variable", variable.clone())),
    );
    let labels = container.labels.iter();
    rows.extend(labels.map(|(name, value)| ("label", format!("{name}={value}"))));

    let mut text = String::new();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "{name:<13} {}", printable(value));
    }
    text += "\n";
    for layer in layers {
        let size = format_bytes(layer.size);
        let kind = layer.media_type.rsplit('.').next().unwrap_or_default();
        let (kind, digest) = (printable(kind), printable(&layer.digest));
        let _ = writeln!(text, "{size:>10}  {kind:<8}  {digest}");
    }
    text
}

fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default } else { text }.to_owned()
}

/// Formats words as ECS has them in JSON, so that they can be copied into a definition.
fn words(words: &[String]) -> String {
    if words.is_empty() {
        String::new()
    } else {
        json!(words).to_string()
    }
}

fn keys<'k>(keys: impl Iterator<Item = &'k String>) -> String {
    keys.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn health_check(check: Option<&Value>) -> String {
    check.map_or_else(String::new, |check| {
        format!("{} (ECS ignores it)", check["Test"])
    })
}

/// Escapes control characters: the texts of an image must not change the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Formats an image as JSON; the names are those of ECS where it has the field.
fn json(image: &OpenedImage) -> Value {
    let config = image.config();
    let container = &config.config;
    let layers: Vec<Value> = (image.manifest().layers.iter())
        .map(|layer| {
            json!({ "digest": layer.digest, "mediaType": layer.media_type, "bytes": layer.size })
        })
        .collect();
    let variables: Vec<Value> = (container.env.iter())
        .map(|variable| {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            json!({ "name": name, "value": value })
        })
        .collect();

    json!({
        "source": image.source().to_string(),
        "digest": image.digest().as_str(),
        "manifest": image.manifest_digest().as_str(),
        "platform": config.platform().name(),
        "platforms": image.platforms().iter().map(Platform::as_str).collect::<Vec<_>>(),
        "created": config.created,
        "compressedBytes": image.compressed_bytes(),
        "layers": layers,
        "user": container.user,
        "entryPoint": container.entrypoint,
        "command": container.cmd,
        "workingDirectory": container.working_dir,
        "stopSignal": container.stop_signal,
        "environment": variables,
        "exposedPorts": container.exposed_ports.keys().collect::<Vec<_>>(),
        "volumes": container.volumes.keys().collect::<Vec<_>>(),
        "healthCheck": container.healthcheck,
        "labels": container.labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mé\n"), "a\\u{1b}[31mé\\n");
    }

    #[test]
    fn parses_platforms() {
        assert_eq!(
            parse_platform("linux/arm64").unwrap().as_str(),
            "linux/arm64"
        );
        assert!(parse_platform("arm64").is_err());
    }
}
