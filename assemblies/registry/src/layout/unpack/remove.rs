//! Removes files and directory trees of an unpacked image.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, chmodat, openat, unlinkat};
use rustix::io::Errno;

/// Removes a file, link or directory tree, if it exists.
pub(super) fn remove(parent: &OwnedFd, name: &Path) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => remove_folder(parent, name),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes a directory tree, if it exists, with the read-only directories that images have.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let parent = openat(
        CWD,
        path.parent().unwrap_or(Path::new("/")),
        flags,
        Mode::empty(),
    )?;
    remove(&parent, path.file_name().unwrap_or_default().as_ref())
}

fn remove_folder(parent: &OwnedFd, name: &Path) -> io::Result<()> {
    // Layers may have made the directory read-only.
    chmodat(parent, name, Mode::from(0o700), AtFlags::empty())?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;

    for child in children(&folder)? {
        remove(&folder, &child)?;
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Returns the names of the entries of a directory.
pub(super) fn children(folder: &OwnedFd) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder.as_fd())? {
        let entry = entry?;
        // The bytes themselves: a name that is not UTF-8 would otherwise be looked for under another name.
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(PathBuf::from(name));
        }
    }
    Ok(names)
}
