//! The licence texts of everything that is linked into a program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::metadata::{Package, Workspace};
use super::target::Toolchain;

/// Returns the files of `/licenses`: the project's own texts, the list of linked packages, and their texts.
/// `native` are texts of libraries that are no packages of cargo. A name that two of them have is the error.
pub(super) fn files(
    workspace: &Workspace,
    linked: &[&Package],
    toolchain: &Toolchain,
    native: BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    for (name, text) in texts(&workspace.workspace_root) {
        files.insert(format!("/licenses/{name}"), text);
    }

    files.insert(
        "/licenses/NOTICE".to_owned(),
        notice(linked, toolchain, native.keys()).into_bytes(),
    );
    let others = third_party(linked);
    files.insert("/licenses/THIRD-PARTY".to_owned(), others);

    for (name, text) in native {
        if files.insert(format!("/licenses/{name}"), text).is_some() {
            return Err(name);
        }
    }
    Ok(files)
}

/// Returns the list of linked packages with their licences.
fn notice<'a>(
    linked: &[&Package],
    toolchain: &Toolchain,
    native: impl Iterator<Item = &'a String>,
) -> String {
    let mut text =
        String::from("This image contains a program that is linked statically from:\n\n");
    for package in linked {
        let license = package.license.as_deref().unwrap_or("see THIRD-PARTY");
        let _ = writeln!(text, "{} {} ({license})", package.name, package.version);
    }

    // Both are part of every program of this toolchain and no packages of cargo.
    let _ = writeln!(
        text,
        "Rust standard library {} (MIT OR Apache-2.0), https://github.com/rust-lang/rust",
        toolchain.version
    );
    text += "GNU C Library (LGPL-2.1-or-later), https://www.gnu.org/software/libc/\n";
    for name in native {
        let _ = writeln!(text, "C library under the licence in {name}");
    }
    text
}

/// Returns the texts of the packages that are not of this workspace, each distinct text once.
fn third_party(linked: &[&Package]) -> Vec<u8> {
    let mut by_text: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for package in linked {
        // A package of the workspace may add texts of C libraries; the workspace's own are files already.
        let texts = texts(package.folder());
        for (_, text) in applicable(texts, package.license.as_deref().unwrap_or_default()) {
            let packages = by_text.entry(text).or_default();
            packages.push(format!("{} {}", package.name, package.version));
        }
    }

    // Sorted by the first package, so that similar texts are apart only where the names are.
    let mut sections: Vec<(Vec<String>, Vec<u8>)> = by_text
        .into_iter()
        .map(|(text, packages)| (packages, text))
        .collect();
    sections.sort();

    let mut all = Vec::new();
    for (packages, text) in sections {
        all.extend_from_slice(format!("==== {}\n\n", packages.join(", ")).as_bytes());
        all.extend_from_slice(text.trim_ascii());
        all.extend_from_slice(b"\n\n");
    }
    all
}

/// Returns the texts that apply: of a choice that includes MIT, the shortest text, only that one.
fn applicable(texts: Vec<(String, Vec<u8>)>, license: &str) -> Vec<(String, Vec<u8>)> {
    let is_choice = license.contains(" OR ") || license.contains('/');
    let is_mit = |name: &str| name.to_ascii_uppercase().contains("MIT");
    let has_mit = texts.iter().any(|(name, _)| is_mit(name));
    if !is_choice || license.contains(" AND ") || !has_mit {
        return texts;
    }

    let is_notice = |name: &str| name.to_ascii_uppercase().starts_with("NOTICE");
    let texts = texts.into_iter();
    texts
        .filter(|(name, _)| is_mit(name) || is_notice(name))
        .collect()
}

/// Returns the licence texts in a folder, by file name.
fn texts(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut texts: Vec<(String, Vec<u8>)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let upper = name.to_ascii_uppercase();
            let is_text = PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
            let metadata = fs::metadata(entry.path()).ok()?;
            let is_file = metadata.is_file() && metadata.len() <= MAX_TEXT;
            (is_text && is_file).then(|| Some((name, fs::read(entry.path()).ok()?)))?
        })
        .collect();

    // `read_dir` has no order.
    texts.sort();
    texts
}

const PREFIXES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];

/// No licence is longer; a larger file is something else.
const MAX_TEXT: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(license: &str, files: &[&str]) -> Vec<String> {
        let texts = files.iter().map(|name| ((*name).to_owned(), Vec::new()));
        let texts = applicable(texts.collect(), license);
        texts.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_choice_that_includes_mit_needs_only_its_text() {
        let files = ["LICENSE-APACHE", "LICENSE-MIT", "NOTICE"];
        assert_eq!(
            names("MIT OR Apache-2.0", &files),
            ["LICENSE-MIT", "NOTICE"]
        );
        assert_eq!(names("Apache-2.0 AND MIT", &files), files);
        assert_eq!(names("MIT OR ISC AND Apache-2.0", &files), files);
        assert_eq!(names("Apache-2.0 OR ISC", &["LICENSE"]), ["LICENSE"]);
    }
}
