//! Whether the folder of an image may be replaced.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use registry::layout::{Layout, LayoutError};

use super::Settings;
use crate::error::CliError;

/// The files of a layout that `images build` writes; `tmp` is left by an interrupted build.
const OWN_ENTRIES: [&str; 6] = [
    "blobs",
    "index.json",
    "index.tmp",
    "oci-layout",
    "oci-layout.tmp",
    "referrers",
];

/// Returns an error if the folder of an image has something else than an earlier build of it: writing a layout removes
/// every blob that does not belong to the new image.
pub(super) fn check_folder(settings: &Settings, name: &str) -> Result<(), CliError> {
    let folder = settings.folder.join(name);
    let Some(reason) = conflict(&folder, name)? else {
        return Ok(());
    };

    Err(CliError::Usage(format!(
        "`{}` {reason}, and is not replaced by the image `{name}`; choose another directory with --output, or remove it",
        folder.display()
    )))
}

/// Returns what is in the folder, if it is not an earlier build.
fn conflict(folder: &Path, name: &str) -> Result<Option<String>, CliError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(Some("is not a directory".to_owned()));
        }
        Err(source) => return Err(list_error(folder, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| list_error(folder, source))?;
        let file = entry.file_name();
        if !OWN_ENTRIES.iter().any(|own| file == *own) {
            return Ok(Some(not_a_layout(&file)));
        }
    }
    if let Some(file) = foreign_blob(folder) {
        return Ok(Some(not_a_layout(&file)));
    }

    // A layout that is damaged or incomplete has no image that could be lost.
    let Ok(programs) = Layout::open(folder).and_then(|layout| entry_points(&layout)) else {
        return Ok(None);
    };
    let own = format!("/{name}");
    let other = programs.into_iter().find(|program| *program != own);
    Ok(other.map(|program| {
        if program.is_empty() {
            "has an image without an entry point".to_owned()
        } else {
            format!("has the image of another program, `{program}`")
        }
    }))
}

/// Returns an entry below `blobs` that no layout has.
fn foreign_blob(folder: &Path) -> Option<OsString> {
    let algorithms = fs::read_dir(folder.join("blobs")).ok()?.flatten();
    let mut others = algorithms.filter(|entry| entry.file_name() != "sha256");
    if let Some(other) = others.next() {
        return Some(other.file_name());
    }

    let is_blob = |name: &OsString| {
        let name = name.to_string_lossy();
        let hex = name.strip_suffix(".tmp").unwrap_or(&name);
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let blobs = fs::read_dir(folder.join("blobs/sha256")).ok()?.flatten();
    let mut names = blobs.map(|entry| entry.file_name());
    names.find(|name| !is_blob(name))
}

/// Returns the program that each image of a layout runs. Every image of ours runs `/NAME`.
fn entry_points(layout: &Layout) -> Result<Vec<String>, LayoutError> {
    let manifests = layout.manifests()?;
    let program = |manifest| {
        let (_, config) = layout.documents(manifest)?;
        let program = config.config.entrypoint.into_iter().next();
        Ok(program.unwrap_or_default())
    };
    manifests.iter().map(program).collect()
}

fn not_a_layout(file: &OsString) -> String {
    format!(
        "has `{}`, which is not part of an image layout",
        file.to_string_lossy()
    )
}

fn list_error(folder: &Path, source: io::Error) -> CliError {
    CliError::File {
        act: "list",
        path: folder.to_owned(),
        source,
    }
}
