//! The revision label: the commit that last changed a program's sources.

use std::path::Path;
use std::process::Command;

/// Returns the newest commit that changed one of these folders or what all packages share, if git knows it.
///
/// Other commits leave the digest of the image as it is. With uncommitted changes in the folders no commit describes
/// the program, and in a shallow clone the newest commit may be missing, so there is no label then.
pub(super) fn revision<'p>(root: &Path, folders: impl Iterator<Item = &'p Path>) -> Option<String> {
    let mut paths: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    paths.extend(SHARED.map(|path| format!(":(top,glob){path}")));
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).arg("--").args(&paths);
        let output = command.current_dir(root).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };

    let is_clean = git(&["status", "--porcelain"])?.is_empty();
    let is_shallow = root.join(".git/shallow").exists();
    let commit = git(&["log", "-1", "--format=%H"])?;
    (is_clean && !is_shallow && !commit.is_empty()).then_some(commit)
}

/// Files that every program depends on.
const SHARED: [&str; 4] = [
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain*",
    ".cargo/config*",
];
