//! Which files are documents of ECS, in whatever form, and not manifests.

use std::path::{Path, PathBuf};

use task_definition::forms::{Document, read_any, recognises};
use task_definition::source::{Source, parse};

use crate::project::Project;

/// Whether a file holds documents of ECS, and is no manifest.
pub(super) fn is_document(source: &Source) -> bool {
    match parse(source) {
        Ok(node) => recognises(&node),
        // Nobody writes a manifest in JSON.
        Err(_) => is_json(&source.name),
    }
}

/// What services and requests of one file may use from the others.
pub(super) fn beside(files: &[PathBuf], project: &Project) -> Vec<Document> {
    if files.len() < 2 {
        return Vec::new();
    }
    let sources = files.iter().filter_map(|file| project.source(file).ok());
    sources
        .filter(is_document)
        .flat_map(|source| read_any(&source).documents().to_vec())
        .collect()
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "json")
}
