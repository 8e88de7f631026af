//! The parts of a CycloneDX document that describe a program.

use std::collections::BTreeSet;

use registry::Digest;
use serde::Serialize;

/// A CycloneDX document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
    compositions: Vec<Composition>,
}

/// What the document describes, and how it was made.
#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    lifecycles: [Lifecycle; 1],
    tools: Tools,
    component: Component,
}

#[derive(Debug, Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Debug, Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Debug, Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: Kind,
    name: &'static str,
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Application,
    Library,
}

/// A program or a package.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Component {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Unique in the document.
    #[serde(rename = "bom-ref")]
    pub(super) reference: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) licenses: Vec<LicenseChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) properties: Vec<Property>,
}

/// A fact without a field in the specification.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) value: String,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Hash {
    alg: &'static str,
    content: String,
}

/// An SPDX expression, or the name of a licence that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LicenseChoice {
    Expression(String),
    License { name: String },
}

/// The direct dependencies of a component.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Dependency {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    #[serde(rename = "dependsOn", skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) depends_on: BTreeSet<String>,
}

/// How complete the document is for some components.
#[derive(Debug, Serialize)]
pub(super) struct Composition {
    aggregate: &'static str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    assemblies: BTreeSet<String>,
    dependencies: BTreeSet<String>,
}

impl Document {
    pub(super) fn new(
        metadata: Metadata,
        components: Vec<Component>,
        mut dependencies: Vec<Dependency>,
        compositions: Vec<Composition>,
    ) -> Self {
        dependencies.sort_by(|a, b| a.reference.cmp(&b.reference));
        Self {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: String::new(),
            version: 1,
            metadata,
            components,
            dependencies,
            compositions,
        }
    }

    /// Returns the document as JSON, with a serial number that is derived from everything else.
    pub(super) fn into_json(mut self) -> Vec<u8> {
        let content = Digest::from_content(&to_json(&self));
        self.serial_number = serial_number(&content);
        to_json(&self)
    }
}

/// Formats the start of a digest as a UUID of version 8, with bits as the application likes (RFC 9562, section 5.8).
fn serial_number(content: &Digest) -> String {
    let hex = content.hex();
    // The upper two bits of the variant are 10.
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16]) % 4];
    format!(
        "urn:uuid:{}-{}-8{}-{variant}{}-{}",
        &hex[0..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

/// Serializes a document, which has no map with keys other than strings. Indented: people read it too.
fn to_json(document: &Document) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(document).unwrap_or_default();
    text.push(b'\n');
    text
}

impl Metadata {
    pub(super) fn new(component: Component, timestamp: Option<String>) -> Self {
        Self {
            timestamp,
            lifecycles: [Lifecycle { phase: "build" }],
            tools: Tools {
                components: [Tool {
                    kind: Kind::Application,
                    // Without its version: the document is to be the same as long as the program is.
                    name: "assemble",
                }],
            },
            component,
        }
    }
}

impl Component {
    /// Creates a component with no more than a name.
    pub(super) fn new(kind: Kind, reference: &str, name: &str) -> Self {
        Self {
            kind,
            reference: reference.to_owned(),
            name: name.to_owned(),
            version: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: None,
            properties: Vec::new(),
        }
    }
}

impl Hash {
    pub(super) fn sha256(hex: &str) -> Self {
        Self {
            alg: "SHA-256",
            content: hex.to_owned(),
        }
    }
}

impl Composition {
    /// Every dependency of these components is in the document.
    pub(super) fn complete(dependencies: BTreeSet<String>) -> Self {
        Self {
            aggregate: "complete",
            assemblies: BTreeSet::new(),
            dependencies,
        }
    }

    /// Neither the parts nor the dependencies of these components are known.
    pub(super) fn unknown(references: BTreeSet<String>) -> Self {
        Self {
            aggregate: "unknown",
            assemblies: references.clone(),
            dependencies: references,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_a_uuid_of_version_8_and_changes_with_the_content() {
        let digest = Digest::from_content(b"");
        let expected = "urn:uuid:e3b0c442-98fc-8c14-9afb-f4c8996fb924";
        assert_eq!(serial_number(&digest), expected);

        let document = |name: &str| {
            let component = Component::new(Kind::Application, "web", name);
            let metadata = Metadata::new(component, None);
            Document::new(metadata, Vec::new(), Vec::new(), Vec::new()).into_json()
        };
        assert_eq!(document("a"), document("a"));
        let serial = |text: Vec<u8>| -> serde_json::Value {
            let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
            document["serialNumber"].clone()
        };
        assert_ne!(serial(document("a")), serial(document("b")));
    }
}
