//! `assemble images sbom`: prints the SBOM that is attached to an image.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, ValueEnum};
use registry::layout::{Descriptor, Layout, media_type};
use registry::{ImageSource, Platform, ReadArtifact};
use serde::Deserialize;

use super::inspect::{parse_platform, printable};
use super::logins;
use super::targets::Target;
use crate::error::CliError;
use crate::registries;
use crate::runtime;
use crate::ui::Ui;

/// Arguments of `images sbom`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Image reference, oci:FOLDER[:NAME], or a folder as ./PATH.
    #[arg(value_name = "SOURCE")]
    source: ImageSource,
    /// Platform of the image [default: the first one].
    #[arg(long, value_name = "OS/ARCHITECTURE", value_parser = parse_platform)]
    platform: Option<Platform>,
    /// Output format.
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The CycloneDX document, byte for byte as it is attached.
    Json,
    /// A table: name, version, licence.
    Text,
}

/// Prints the SBOM.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let platform = arguments.platform.as_ref();
    let sbom = match &arguments.source {
        ImageSource::Registry(reference) => from_registry(reference, platform, ui)?,
        ImageSource::Layout { folder, name } => from_layout(folder, name.as_deref(), platform)?,
        ImageSource::Path(path) if path.is_dir() => from_layout(path, None, platform)?,
        source => {
            return Err(CliError::Usage(format!(
                "`{source}` is not a folder; an SBOM is in the layout that `assemble images build` writes, or in a registry"
            )));
        }
    };

    let invalid = |reason: String| {
        CliError::Usage(format!(
            "the SBOM of `{}` is not a CycloneDX document ({reason}); attach it again",
            arguments.source
        ))
    };
    ui.data(&match arguments.format {
        Format::Json => String::from_utf8(sbom).map_err(|error| invalid(error.to_string()))?,
        Format::Text => {
            let document = serde_json::from_slice::<Document>(&sbom);
            table(&document.map_err(|error| invalid(error.to_string()))?)
        }
    });
    Ok(0)
}

/// Reads the SBOM from a layout.
fn from_layout(
    folder: &Path,
    name: Option<&str>,
    platform: Option<&Platform>,
) -> Result<Vec<u8>, CliError> {
    let usage = |error: registry::layout::LayoutError| CliError::Usage(error.to_string());
    let mut layout = Layout::open(folder).map_err(usage)?;
    if let Some(name) = name {
        let names = layout.names().join(", ");
        layout = layout.select(name).ok_or_else(|| {
            CliError::Usage(format!(
                "{} has no image named `{name}`; it has {names}",
                folder.display()
            ))
        })?;
    }

    // An SBOM describes the manifest of a platform, also where there is an index.
    let manifests = layout.manifests().map_err(usage)?;
    let own = |manifest: &Descriptor| {
        let platform = manifest.platform.as_ref()?;
        Some(Platform::new(&platform.os, &platform.architecture))
    };
    let is_wanted = |manifest: &&Descriptor| {
        platform.is_none_or(|wanted| own(manifest).as_ref() == Some(wanted))
    };
    let Some(manifest) = manifests.iter().find(is_wanted) else {
        let available: Vec<String> = manifests
            .iter()
            .filter_map(own)
            .map(|p| p.to_string())
            .collect();
        return Err(CliError::Usage(format!(
            "{} has no image for the requested platform; it has {}",
            folder.display(),
            available.join(", ")
        )));
    };

    let found = layout.artifact(&manifest.digest, media_type::CYCLONEDX);
    found.map_err(usage)?.ok_or_else(|| {
        CliError::Usage(format!(
            "{} has no SBOM of its image; build the image again with `assemble images build`",
            folder.display()
        ))
    })
}

/// Reads the SBOM from a registry.
fn from_registry(
    reference: &str,
    platform: Option<&Platform>,
    ui: &Ui,
) -> Result<Vec<u8>, CliError> {
    let targets = [Target {
        name: reference.to_owned(),
        image: reference.to_owned(),
    }];
    let found = runtime::new()?.block_on(async {
        // Boxed: the AWS configuration makes the future larger than 16 kB.
        let login = Box::pin(logins::log_in(registries::client()?, &targets, ui));
        let (client, _) = login.await?;
        let found = client
            .read_artifact(reference, platform, media_type::CYCLONEDX)
            .await;
        found.map_err(|error| {
            let hint = if Path::new(reference).exists() {
                format!("; to read the folder of that name, write `./{reference}`")
            } else {
                String::new()
            };
            CliError::Refused(format!("{error}{hint}"))
        })
    })?;

    match found {
        ReadArtifact::Found(found) => {
            // Another version of this command may have written another document for the same image.
            if found.others > 0 {
                ui.message(&format!(
                    "{} SBOMs are attached to {}; this is {}",
                    found.others + 1,
                    found.subject,
                    found.manifest
                ));
            }
            Ok(found.content)
        }
        ReadArtifact::Missing(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|kind| printable(kind)).collect();
            let others = if kinds.is_empty() {
                String::new()
            } else {
                format!(", only {}", kinds.join(", "))
            };
            Err(CliError::Usage(format!(
                "`{reference}` has no CycloneDX SBOM attached{others}; `assemble images build` and `images push` attach \
                 one, also to an image that is pushed already"
            )))
        }
    }
}

/// The parts of a CycloneDX document that the table shows.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    licenses: Vec<License>,
}

/// An expression, or a licence by identifier or name.
#[derive(Deserialize)]
struct License {
    expression: Option<String>,
    license: Option<NamedLicense>,
}

#[derive(Deserialize)]
struct NamedLicense {
    id: Option<String>,
    name: Option<String>,
}

impl Component {
    fn row(&self) -> [String; 3] {
        let licenses = self.licenses.iter().filter_map(|license| {
            let named = license.license.as_ref();
            let named = named.and_then(|named| named.id.as_ref().or(named.name.as_ref()));
            license.expression.as_ref().or(named).map(String::as_str)
        });
        let licenses = licenses.collect::<Vec<_>>().join(", ");
        let or_dash = |text: &str| {
            let text = if text.is_empty() { "-" } else { text };
            printable(text)
        };
        [
            or_dash(&self.name),
            or_dash(&self.version),
            or_dash(&licenses),
        ]
    }
}

/// Formats the program and its components as a table.
fn table(document: &Document) -> String {
    let mut rows = vec![["NAME", "VERSION", "LICENCE"].map(str::to_owned)];
    let program = document.metadata.component.iter();
    rows.extend(program.chain(&document.components).map(Component::row));

    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1)];
    let mut text = String::new();
    for [name, version, license] in &rows {
        let _ = writeln!(
            text,
            "{name:0$}  {version:1$}  {license}",
            widths[0], widths[1]
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_licences_of_every_form() {
        let document = r#"{
            "metadata": { "component": { "name": "web", "version": "1" } },
            "components": [
                { "name": "a", "version": "1.10.0", "licenses": [{ "expression": "MIT OR Apache-2.0" }] },
                { "name": "long", "licenses": [{ "license": { "id": "ISC" } }, { "license": { "name": "Own\u001b" } }] }
            ]
        }"#;
        let document: Document = serde_json::from_str(document).unwrap();
        let expected = "NAME  VERSION  LICENCE\n\
                        web   1        -\n\
                        a     1.10.0   MIT OR Apache-2.0\n\
                        long  -        ISC, Own\\u{1b}\n";
        assert_eq!(table(&document), expected);
    }
}
