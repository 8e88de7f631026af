//! The manifest that the user writes, with the location of every field.

use std::collections::BTreeSet;

use diagnostics::source::{self, Node, NodeValue, Source};
use diagnostics::{Finding, Location};

use crate::values::{Interpolator, Values};
use crate::{decode, rules};

mod environment;
mod file;
mod running;
pub use file::{
    Architecture, ContainerSize, EnvironmentFile, Images, ManifestFile, OnDemand, Service, Target,
    TaskSize,
};
pub use running::{Cooldown, Deployment, LoadBalancer, OnFailure, Spot};

/// A decoded manifest, with its values interpolated.
#[derive(Debug, Clone)]
pub struct Manifest {
    file: ManifestFile,
    source: Source,
    node: Node,
    values: Values,
    references: BTreeSet<String>,
}

/// Reads a manifest. Invalid fields are left out and reported.
pub fn read(source: &Source, values: &Values) -> (Option<Manifest>, Vec<Finding>) {
    let node = match source::parse(source) {
        Ok(node) => node,
        Err(findings) => return (None, findings),
    };

    // The overlay may contain values of its environment, so it comes before interpolation.
    let node = environment::overlay(node, values.environments());
    let values = values.with_manifest(source, &node);
    let mut interpolator = Interpolator {
        values: &values,
        source,
        node: &node,
        findings: Vec::new(),
    };

    let interpolated = interpolator.manifest();
    let mut findings = interpolator.findings;
    findings.extend(values.plain_secrets());
    // References must be collected before interpolation has replaced them.
    let references = environment::references(&node);
    let node = interpolated;
    let (file, more) = decode::read_partial::<ManifestFile>(source, &node);

    findings.extend(more);
    if let Some(name) = node.get("name").and_then(|name| Some((name, name.text()?)))
        && !is_name(name.1)
    {
        findings.push(rules::m04_invalid_name::invalid_name(
            Location::from_span(source, name.0.span),
            name.1,
        ));
    }

    let manifest = file.map(|file| Manifest {
        file,
        source: source.clone(),
        node,
        values: values.resolve_references(),
        references,
    });

    (manifest, findings)
}

impl Manifest {
    /// Returns the fields.
    pub fn file(&self) -> &ManifestFile {
        &self.file
    }

    /// Returns the values of the manifest and the environment; those of the environment take precedence.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Returns the names that it refers to as `${name}`, in all environments.
    pub(crate) fn references(&self) -> &BTreeSet<String> {
        &self.references
    }

    /// Returns the location of a value, by JSON pointer, or of the closest value that contains it.
    pub fn location(&self, pointer: &str) -> Location {
        let mut around = pointer;
        // The root always exists, so this ends.
        loop {
            if let Some(node) = self.node.at(around) {
                return Location::from_span(&self.source, node.span);
            }
            around = &around[..around.rfind('/').unwrap_or(0)];
        }
    }

    /// Returns whether a value is text that was written as `${…}` alone.
    pub(crate) fn is_interpolated(&self, pointer: &str) -> bool {
        let node = self.node.at(pointer);
        node.is_some_and(|node| matches!(node.value, NodeValue::Interpolated(_)))
    }

    /// Returns the location of a key in the map at a JSON pointer.
    pub fn key_location(&self, pointer: &str, key: &str) -> Location {
        let keys = self.node.at(pointer).map(Node::entries).unwrap_or_default();
        match keys.iter().find(|(other, _)| other.name == key) {
            Some((key, _)) => Location::from_span(&self.source, key.span),
            None => self.location(pointer),
        }
    }
}

/// Returns whether a name is valid as a container name, a family, a log group and part of a role name.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.len() <= MAX_NAME_LENGTH
}

/// IAM limits role names to 64 characters, and the suffix `-execution` is added.
const MAX_NAME_LENGTH: usize = 54;
