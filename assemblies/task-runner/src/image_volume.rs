//! Volumes that an image prepares.
//!
//! On Fargate an empty bind mount takes content, owner and mode of the image's folder at its path, if the image
//! declares that same path with VOLUME (Amazon ECS developer guide, "Use bind mounts with Amazon ECS").

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::image::Image;

/// Fills the folder of an empty volume; returns whether the image prepares the volume.
pub(crate) fn fill(image: &Image, path: &str, volume: &Path) -> io::Result<bool> {
    let same = |declared: &String| declared.trim_end_matches('/') == path.trim_end_matches('/');
    if !image.volumes.iter().any(same) || fs::read_dir(volume)?.next().is_some() {
        return Ok(false);
    }

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, &image.root, flags, Mode::empty())?;
    // A link of the image is followed as in a chroot, never to a folder of this host.
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let folder = match openat2(&root, path, flags, Mode::empty(), resolve) {
        Ok(folder) => folder,
        // The engine creates the folder then, as for any other mount point.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };

    let source = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    // With `.` the metadata is that of the folder, not of the link in /proc.
    let source = source.join(".");
    copy(&source, volume, &mut MAX_ENTRIES.clone())?;
    Ok(true)
}

/// Copies the content of a directory, and its owner and mode.
fn copy(from: &Path, to: &Path, remaining: &mut u32) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        *remaining = remaining.checked_sub(1).ok_or_else(|| {
            io::Error::other(format!(
                "the image's folder has more than {MAX_ENTRIES} files"
            ))
        })?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;

        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&source, &target, remaining)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            copy_owner(&source, &target)?;
        } else if kind.is_file() {
            // Also copies the mode, which chown may clear.
            fs::copy(&source, &target)?;
            copy_owner(&source, &target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
        }
    }

    let metadata = fs::metadata(from)?;
    copy_owner(from, to)?;
    fs::set_permissions(to, Permissions::from_mode(metadata.mode() & 0o7777))
}

/// Only root may give files away; otherwise all files of an image belong to the caller.
fn copy_owner(from: &Path, to: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let metadata = fs::symlink_metadata(from)?;
    lchown(to, Some(metadata.uid()), Some(metadata.gid()))
}

/// Most files that are copied into one volume.
const MAX_ENTRIES: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn image(root: &Path) -> Image {
        Image {
            root: root.to_owned(),
            volumes: vec!["/data/".to_owned()],
            ..Image::default()
        }
    }

    #[test]
    fn an_empty_volume_gets_content_and_mode_of_the_images_folder() {
        let folder = tempfile::TempDir::new().unwrap();
        let (root, volume) = (folder.path().join("root"), folder.path().join("volume"));
        fs::create_dir_all(root.join("data/sub")).unwrap();
        fs::write(root.join("data/sub/file"), "content").unwrap();
        fs::set_permissions(root.join("data"), Permissions::from_mode(0o770)).unwrap();
        fs::create_dir(&volume).unwrap();

        assert!(fill(&image(&root), "/data", &volume).unwrap());
        assert_eq!(fs::read(volume.join("sub/file")).unwrap(), b"content");
        assert_eq!(fs::metadata(&volume).unwrap().mode() & 0o7777, 0o770);
        // It is not empty any more, and another path is not declared.
        assert!(!fill(&image(&root), "/data", &volume).unwrap());
        assert!(!fill(&image(&root), "/other", &volume).unwrap());
    }

    #[test]
    fn a_link_in_the_image_never_leads_to_the_host() {
        let folder = tempfile::TempDir::new().unwrap();
        let (root, volume) = (folder.path().join("root"), folder.path().join("volume"));
        let outside = folder.path().join("outside");
        for folder in [&root, &volume, &outside] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(outside.join("secret"), "x").unwrap();
        symlink(&outside, root.join("data")).unwrap();
        assert!(!fill(&image(&root), "/data", &volume).unwrap());
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 0);
    }
}
