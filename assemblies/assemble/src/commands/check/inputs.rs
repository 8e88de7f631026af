//! Separates ECS documents, in any form, from manifests.

use std::path::{Path, PathBuf};

use diagnostics::source::{Source, parse};
use ecs_rules::inputs::{Document, has_documents, read_input};

use crate::project::Project;

/// Returns whether a file is an ECS document and not a manifest.
pub(super) fn is_document(source: &Source) -> bool {
    match parse(source) {
        Ok(node) => has_documents(&node),
        // Manifests are YAML.
        Err(_) => is_json(&source.name),
    }
}

/// Returns the documents that services and requests of one file may refer to in the others.
pub(super) fn related_documents(files: &[PathBuf], project: &Project) -> Vec<Document> {
    if files.len() < 2 {
        return Vec::new();
    }
    let sources = files.iter().filter_map(|file| project.source(file).ok());
    sources
        .filter(is_document)
        .flat_map(|source| read_input(&source).documents().to_vec())
        .collect()
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "json")
}
