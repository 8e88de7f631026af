//! `bundle.yaml`: several components in one program and one image.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::source::{self, Node, Source};
use diagnostics::{Finding, Location};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use task_definition::{ContainerDefinition, ImageReference};

use super::{ByteSize, Component};
use crate::text::suggest;
use crate::{decode, manifest, rules};

/// A program that contains several components, as its `bundle.yaml` describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Bundle")]
pub struct BundleFile {
    /// The version of the file format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The name of the program, which is `/NAME` in the image. Its first argument is the name of a member.
    pub name: String,
    /// The word `bundle`, which distinguishes the file from a `component.yaml`.
    pub kind: BundleKind,
    /// A one-line description.
    pub summary: String,
    /// The image; may contain `${…}`.
    pub image: String,
    /// The largest compressed size of the image that `assemble images build` accepts: `4.6 MB`.
    #[serde(default)]
    pub image_budget: Option<ByteSize>,
    /// The components in the program.
    #[schemars(length(min = 1))]
    pub members: Vec<String>,
}

/// The kind of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BundleKind {
    /// A program with several components.
    Bundle,
}

/// A bundle with the source of its description. Clones share the data.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle(Arc<BundleData>);

#[derive(Debug, PartialEq)]
struct BundleData {
    file: BundleFile,
    source: Source,
    node: Node,
}

impl Bundle {
    /// Reads a `bundle.yaml` whose members are among these components.
    pub(super) fn read(
        source: &Source,
        components: &BTreeMap<String, Result<Component, Vec<Finding>>>,
    ) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let (file, mut findings) = decode::read::<BundleFile>(source, &node);
        if let Some(file) = file {
            let bundle = Self(Arc::new(BundleData {
                file,
                source: source.clone(),
                node,
            }));

            findings.extend(bundle.contradictions(components));
            if findings.is_empty() {
                return Ok(bundle);
            }
        }

        Err(findings)
    }

    /// Returns the fields.
    pub fn file(&self) -> &BundleFile {
        &self.0.file
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.0.file.name
    }

    /// Returns the location of a field, by JSON pointer.
    pub fn location(&self, pointer: &str) -> Location {
        let node = self.0.node.at(pointer).unwrap_or(&self.0.node);
        Location::from_span(&self.0.source, node.span)
    }

    /// Returns whether a component of this name is in the program.
    pub fn contains(&self, component: &str) -> bool {
        self.file().members.iter().any(|member| member == component)
    }

    /// Returns whether an image reference names its image, in any registry and with any tag.
    pub fn has_image(&self, image: &str) -> bool {
        let name = |image| ImageReference::parse(image).name();
        name(image) == name(&self.file().image)
    }

    /// Returns the words in the image that run a member: `/sidecars` and the member's name.
    pub fn command_of(&self, member: &str) -> Vec<String> {
        vec![format!("/{}", self.name()), member.to_owned()]
    }

    /// Returns the member that a container runs, if it runs the bundle's image.
    pub fn member_of(&self, container: &ContainerDefinition) -> Option<&str> {
        // The member is the first argument of the program, or the name of a link to it. Without an entry point
        // the program is the image's, and the first argument is in the command.
        let words = container.entry_point.iter().chain(&container.command);
        let mut names = words.take(2).map(|word| word.trim_start_matches('/'));
        let members = &self.file().members;
        let member = names.find_map(|name| members.iter().find(|member| *member == name))?;
        self.has_image(&container.image).then_some(member)
    }

    /// Reports an invalid name or one of a component, and members that are unknown, repeated or not programs of this project.
    fn contradictions(
        &self,
        components: &BTreeMap<String, Result<Component, Vec<Finding>>>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !manifest::is_name(self.name()) {
            let location = self.location("/name");
            findings.push(rules::m04_invalid_name::invalid_name(location, self.name()));
        }
        if components.contains_key(self.name()) {
            let location = self.location("/name");
            findings.push(
                rules::m18_inconsistent_component::bundle_named_as_component(location, self.name()),
            );
        }

        let members = &self.file().members;
        for (at, member) in members.iter().enumerate() {
            let location = self.location(&format!("/members/{at}"));
            let finding = match components.get(member) {
                None => {
                    let hint = suggest(member, components.keys().map(String::as_str));
                    rules::m05_unknown_component::unknown_component(location, member, &hint)
                }
                Some(_) if members[..at].contains(member) => {
                    rules::m06_duplicate_component::duplicate(location, member)
                }
                Some(Ok(component)) if component.file().container.is_some() => {
                    rules::m18_inconsistent_component::third_party_member(location, member)
                }
                Some(_) => continue,
            };
            findings.push(finding);
        }

        findings
    }
}

/// Returns whether a file describes a bundle rather than a component.
pub(super) fn is_bundle(source: &Source) -> bool {
    let node = source::parse(source).ok();
    let kind = node.as_ref().and_then(|node| node.get("kind")?.text());
    // A file with another or no `kind` is still a bundle by its name, so that the error names the right fields.
    kind == Some("bundle") || source.name.rsplit(['/', '\\']).next() == Some("bundle.yaml")
}
