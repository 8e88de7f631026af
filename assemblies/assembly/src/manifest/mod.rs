//! What the user writes: the manifest as a type, with the line of every word.

use std::collections::BTreeSet;

use task_definition::Finding;
use task_definition::Place;
use task_definition::source::{self, Node, Source};

use crate::values::{Interpolator, Values};
use crate::{decode, rules};

mod environment;
mod file;
mod running;
pub use file::{
    Architecture, ContainerSize, EnvironmentFile, ManifestFile, OnDemand, Service, Target, TaskSize,
};
pub use running::{Cooldown, Deployment, LoadBalancer, OnFailure, Spot};

/// A manifest that fits its form, with its values filled in.
#[derive(Debug, Clone)]
pub struct Manifest {
    file: ManifestFile,
    source: Source,
    node: Node,
    values: Values,
    references: BTreeSet<String>,
}

/// Reads a manifest; what does not fit is a finding, and left out.
pub fn read(source: &Source, values: &Values) -> (Option<Manifest>, Vec<Finding>) {
    let node = match source::parse(source) {
        Ok(node) => node,
        Err(findings) => return (None, findings),
    };

    let node = environment::overlay(node, values.environments());
    let values = values.with_manifest(source, &node);
    let mut interpolator = Interpolator {
        values: &values,
        source,
        node: &node,
        findings: Vec::new(),
    };

    let (filled, mut findings) = (interpolator.manifest(), interpolator.findings);
    findings.extend(values.plain_secrets());
    let references = environment::references(&node);
    let node = filled;
    let (file, more) = decode::read::<ManifestFile>(source, &node);

    findings.extend(more);
    if let Some(name) = node.get("name").and_then(|name| Some((name, name.text()?)))
        && !is_name(name.1)
    {
        findings.push(rules::m04_invalid_name::invalid_name(
            Place::in_text(source, name.0.span),
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
    /// The fields.
    pub fn file(&self) -> &ManifestFile {
        &self.file
    }

    /// Its own values, and those of the environment over them.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The names that stand in it as `${name}`, in all environments.
    pub(crate) fn references(&self) -> &BTreeSet<String> {
        &self.references
    }

    /// The line of a value, by JSON pointer; the nearest value around it when there is none.
    pub fn place(&self, pointer: &str) -> Place {
        let mut around = pointer;
        loop {
            if let Some(node) = self.node.at(around) {
                return Place::in_text(&self.source, node.span);
            }
            around = &around[..around.rfind('/').unwrap_or(0)];
        }
    }

    /// The line of a key in the map that a JSON pointer names.
    pub fn key_place(&self, pointer: &str, key: &str) -> Place {
        let keys = self.node.at(pointer).map(Node::entries).unwrap_or_default();
        match keys.iter().find(|(one, _)| one.name == key) {
            Some((key, _)) => Place::in_text(&self.source, key.span),
            None => self.place(pointer),
        }
    }
}

/// Names become container names, families, log groups and roles; this is what all of them allow.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && name.len() <= LONGEST_NAME
}

/// IAM role names hold 64 characters, and `-execution` is added.
const LONGEST_NAME: usize = 54;
