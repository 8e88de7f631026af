//! Finds and reads the files to check, and separates ECS documents, in any form, from manifests.

use std::fs;
use std::path::{Path, PathBuf};

use diagnostics::source::Source;
use ecs_rules::inputs::{Document, ParsedInput, parse_input};

pub(super) use crate::documents::{STDIN, foreign, is_document, read};
use crate::error::CliError;
use crate::project::Project;

/// Returns the documents that services and requests of one file may refer to in the others.
pub(super) fn related_documents<'s>(
    sources: impl Iterator<Item = &'s Source>,
    read: impl Fn(&Source) -> ParsedInput,
) -> Vec<Document> {
    let sources: Vec<&Source> = sources.collect();
    if sources.len() < 2 {
        return Vec::new();
    }
    let documents = sources.into_iter().filter(|source| is_document(source));
    documents
        .flat_map(|source| read(source).documents().to_vec())
        .collect()
}

/// Returns the files in a directory that `check` reads: documents and manifests, in the order of their paths.
pub(super) fn files_in(directory: &Path, project: &Project) -> Result<Vec<PathBuf>, CliError> {
    let mut candidates = Vec::new();
    collect(directory, 0, &mut candidates)?;
    candidates.sort();
    candidates.retain(|path| {
        let source = project.source(path);
        source.is_ok_and(|source| is_document(&source) || is_manifest(&source))
    });

    if candidates.is_empty() {
        return Err(CliError::Usage(format!(
            "`{}` has no task definition, service, template or manifest; pass the file",
            directory.display()
        )));
    }
    Ok(candidates)
}

fn collect(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let failure = |source| CliError::File {
        act: "list",
        path: directory.to_owned(),
        source,
    };
    for entry in fs::read_dir(directory).map_err(failure)? {
        let entry = entry.map_err(failure)?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        // The type of the entry itself, so that a link to a parent directory is not followed.
        let kind = entry.file_type().map_err(failure)?;
        let is_skipped = name.starts_with('.') || SKIPPED.contains(&&*name);

        if kind.is_dir() && !is_skipped && depth < MAX_DEPTH {
            collect(&path, depth + 1, files)?;
        } else if !kind.is_dir() && has_known_extension(&path) {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(CliError::Usage(format!(
                "`{}` has more than {MAX_FILES} JSON and YAML files; pass a directory with fewer",
                directory.display()
            )));
        }
    }
    Ok(())
}

/// Directories with the files of other programs.
const SKIPPED: [&str; 3] = ["node_modules", "target", "vendor"];
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 5000;

fn has_known_extension(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ["json", "yaml", "yml", "template"].contains(&end))
}

/// Returns whether a file has the two fields that every manifest needs.
fn is_manifest(source: &Source) -> bool {
    parse_input(source).is_ok_and(|node| node.get("name").is_some() && node.get("app").is_some())
}
