//! `assemble images sbom`: prints the SBOM that is attached to an image.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Args, ValueEnum};
use registry::layout::media_type;
use registry::{ImageSource, Platform, ReadArtifact};
use serde::Deserialize;

use super::inspect::{parse_platform, printable};
use crate::error::CliError;
use crate::images::Images;
use crate::project::Project;
use crate::registries;
use crate::runtime;
use crate::ui::Ui;

/// Arguments of `images sbom`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Image reference, oci:FOLDER[:NAME], or a folder or archive as ./PATH.
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
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let platform = arguments.platform.as_ref();
    let sbom = match &arguments.source {
        ImageSource::Registry(reference) => from_registry(reference, platform, ui)?,
        source => from_files(source, platform, project, ui)?,
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

/// Reads the SBOM from a layout or an archive.
fn from_files(
    source: &ImageSource,
    platform: Option<&Platform>,
    project: &Project,
    ui: &Ui,
) -> Result<Vec<u8>, CliError> {
    // An SBOM describes the manifest of a platform, also where there is an index.
    let image = Images::new(project, ui)?.open(source, platform)?;
    let found = image.artifact(media_type::CYCLONEDX);
    let found = found.map_err(|error| CliError::Usage(error.to_string()))?;
    found.ok_or_else(|| {
        CliError::Usage(format!(
            "`{source}` has no SBOM of its image; build the image again with `assemble images build`"
        ))
    })
}

/// Reads the SBOM from a registry.
fn from_registry(
    reference: &str,
    platform: Option<&Platform>,
    ui: &Ui,
) -> Result<Vec<u8>, CliError> {
    let (client, _) = registries::client(ui)?;
    let found = client.read_artifact(reference, platform, media_type::CYCLONEDX);
    let found = runtime::new()?.block_on(found);
    let found = found.map_err(|error| match CliError::from(error) {
        CliError::Refused(message) if Path::new(reference).exists() => CliError::Refused(format!(
            "{message}; to read the folder of that name, write `./{reference}`"
        )),
        error => error,
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
