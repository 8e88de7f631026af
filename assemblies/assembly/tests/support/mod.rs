//! Reading the folders of this crate's tests.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use assembly::{Catalog, Values};
use task_definition::source::Source;
use task_definition::{Color, Finding};

/// A path of this crate.
pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file under the name it is to have in messages.
pub(crate) fn source(path: &Path, name: &str) -> Source {
    Source::new(
        name,
        fs::read_to_string(path).expect("a file that can be read"),
    )
}

/// Entries of a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder that can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

/// A file's name.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

/// The components of a folder of `*.yaml`.
pub(crate) fn catalog(folder: &str) -> Catalog {
    let files = entries(&here(folder));
    let sources: Vec<Source> = files.iter().map(|file| source(file, &name(file))).collect();
    Catalog::read(&sources)
}

/// The components of a folder of `*.yaml`, and the images of others that this project ships.
pub(crate) fn catalog_and_shipped(folder: &str) -> Catalog {
    let shipped = entries(&here("../components"));
    let shipped = shipped.iter().map(|folder| folder.join("component.yaml"));
    let files = entries(&here(folder)).into_iter().chain(shipped);
    let named = |file: &PathBuf| source(file, &file.display().to_string().replace(ROOT, ""));
    let sources: Vec<Source> = files.map(|file| named(&file)).collect();
    Catalog::read(&sources)
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/");

/// The values that every test assembly is planned with.
pub(crate) fn values() -> Values {
    let text =
        "account: '111122223333'\nregion: eu-central-1\nregistry: registry.example\nversion: '1'\n";
    let values = Values::read(&Source::new("values.yaml", text)).expect("values");
    let pinned = ["envoy", "nginx", "adot", "fluent_bit", "datadog"];
    let pinned = pinned.map(|image| format!("{image}_version"));
    pinned
        .iter()
        .fold(values, |values, name| values.with(name, "1.2.3"))
}

/// Findings as a person sees them.
pub(crate) fn told(findings: &[Finding]) -> String {
    let told: Vec<String> = findings
        .iter()
        .map(|finding| finding.render(Color::No).trim_end().to_owned())
        .collect();
    if told.is_empty() {
        "no findings\n".to_owned()
    } else {
        told.join("\n\n") + "\n"
    }
}
