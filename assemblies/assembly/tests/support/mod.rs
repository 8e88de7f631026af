//! Helpers that read the folders of this crate's tests.

#![allow(clippy::expect_used, reason = "a panic fails the test")]
#![allow(dead_code, reason = "each test binary uses only some of the helpers")]

use std::fs;
use std::path::{Path, PathBuf};

use assembly::{Catalog, Values};
use diagnostics::source::Source;
use diagnostics::{Color, Finding};

/// Returns a path of this crate.
pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Reads a file under the name that messages use.
pub(crate) fn source(path: &Path, name: &str) -> Source {
    Source::new(
        name,
        fs::read_to_string(path).expect("a file that can be read"),
    )
}

/// Returns the entries of a folder, sorted.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder that can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    // The order of a directory is not defined.
    paths.sort();
    paths
}

/// Returns the name of a file.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned()
}

/// Reads the components of a folder of `*.yaml` files.
pub(crate) fn catalog(folder: &str) -> Catalog {
    let files = entries(&here(folder));
    let sources: Vec<Source> = files.iter().map(|file| source(file, &name(file))).collect();
    Catalog::read(&sources)
}

/// Reads the components of a folder, and the third-party components that this project ships.
pub(crate) fn catalog_and_shipped(folder: &str) -> Catalog {
    let shipped = entries(&here("../components"));
    let shipped = shipped.iter().map(|folder| folder.join("component.yaml"));
    let files = entries(&here(folder)).into_iter().chain(shipped);
    // Golden files contain the names, so they must not depend on the location of the workspace.
    let source_of = |file: &PathBuf| source(file, &file.display().to_string().replace(ROOT, ""));
    let sources: Vec<Source> = files.map(|file| source_of(&file)).collect();
    Catalog::read(&sources)
}

/// Reads the components and bundles of this project, under their paths.
pub(crate) fn project_sources() -> Vec<Source> {
    let folders = ["sidecars", "apps", "assemblies/components"];
    let folders = folders.map(|folder| here("../..").join(folder));
    let folders = folders.iter().flat_map(|folder| entries(folder));
    let files =
        folders.flat_map(|folder| ["component.yaml", "bundle.yaml"].map(|name| folder.join(name)));
    files
        .filter(|file| file.is_file())
        .map(|file| source(&file, &file.to_string_lossy()))
        .collect()
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/");

/// Returns the values for all test assemblies.
pub(crate) fn values() -> Values {
    let text =
        "account: '111122223333'\nregion: eu-central-1\nregistry: registry.example\nversion: '1'\n";
    let values = Values::read(&Source::new("values.yaml", text)).expect("values");
    // Third-party components take the versions of their images from values.
    let pinned = ["envoy", "nginx", "adot", "fluent_bit", "datadog"];
    let pinned = pinned.map(|image| format!("{image}_version"));
    pinned
        .iter()
        .fold(values, |values, name| values.with(name, "1.2.3"))
}

/// Formats findings as the command line does.
pub(crate) fn format_findings(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings
        .iter()
        .map(|finding| finding.render(Color::No).trim_end().to_owned())
        .collect();
    if texts.is_empty() {
        "no findings\n".to_owned()
    } else {
        texts.join("\n\n") + "\n"
    }
}
