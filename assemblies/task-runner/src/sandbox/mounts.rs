//! The mounts of a container on the host's root: volumes, tmpfs, a read-only root.
//!
//! A mount point that the host does not have is created without a trace on the host: a tmpfs replaces its
//! parent folder, with every entry of the parent bound to its place.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_move, unmount,
};
use rustix::process::pivot_root;
use serde::{Deserialize, Serialize};

use super::capabilities::remount_read_only;

/// The mounts of a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mounts {
    /// Volumes.
    pub(crate) binds: Vec<Bind>,
    /// Memory file systems.
    pub(crate) tmpfs: Vec<Tmpfs>,
    /// Everything is read-only except volumes, tmpfs and `writable_paths`.
    pub(crate) read_only: bool,
    /// Files and folders of the host that stay visible and writable, even below another mount.
    pub(crate) writable_paths: Vec<PathBuf>,
    /// The file mounted at `/etc/hosts`.
    pub(crate) hosts: Option<PathBuf>,
    /// An empty folder, used while a mount point is created.
    pub(crate) scratch: PathBuf,
}

/// A volume and its mount point.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// A tmpfs with its size in MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tmpfs {
    pub(crate) target: PathBuf,
    pub(crate) mebibytes: u32,
}

impl Mounts {
    /// Makes all mounts in the mount namespace of this process.
    pub(super) fn apply(&self) -> io::Result<()> {
        for bind in &self.binds {
            let volume = |error| with_context("the volume at", &bind.target, error);
            self.preserve_below(bind).map_err(volume)?;
            self.create_mount_point(&bind.target).map_err(volume)?;
            mount_bind_recursive(&bind.source, &bind.target)
                .map_err(|error| volume(error.into()))?;
        }

        for tmpfs in &self.tmpfs {
            let with_tmpfs = |error| with_context("the tmpfs at", &tmpfs.target, error);
            self.create_mount_point(&tmpfs.target).map_err(with_tmpfs)?;
            let size = std::ffi::CString::new(format!("size={}m,mode=1777", tmpfs.mebibytes))?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", &tmpfs.target, "tmpfs", flags, size.as_c_str())
                .map_err(|error| with_tmpfs(error.into()))?;
        }

        if let Some(hosts) = &self.hosts {
            mount_bind(hosts, "/etc/hosts").map_err(|error| {
                with_context("the names in", Path::new("/etc/hosts"), error.into())
            })?;
        }

        if self.read_only {
            // Bound onto themselves, so that each is a mount with its own read-only flag.
            for path in &self.writable_paths {
                mount_bind_recursive(path, path)
                    .map_err(|error| with_context("the path", path, error.into()))?;
            }
        }

        self.make_read_only()
    }

    /// Binds the writable paths below a mount point into the volume, so that the volume does not hide them.
    fn preserve_below(&self, bind: &Bind) -> io::Result<()> {
        // A path inside of another one is bound along with it.
        let is_nested = |path: &PathBuf| {
            (self.writable_paths.iter()).any(|other| other != path && path.starts_with(other))
        };

        for path in self.writable_paths.iter().filter(|path| !is_nested(path)) {
            let Ok(within) = path.strip_prefix(&bind.target) else {
                continue;
            };
            let target = bind.source.join(within);

            if path.is_dir() {
                fs::create_dir_all(&target)?;
            } else {
                target.parent().map_or(Ok(()), fs::create_dir_all)?;
                // Append, so that an existing file keeps its content.
                File::options().create(true).append(true).open(&target)?;
            }
            mount_bind_recursive(path, &target)?;
        }

        Ok(())
    }

    /// Creates a mount point that the host does not have.
    fn create_mount_point(&self, target: &Path) -> io::Result<()> {
        if target.is_dir() {
            return Ok(());
        }

        let parent = target.ancestors().find(|parent| parent.is_dir());
        let parent = parent.unwrap_or(Path::new("/"));
        mount("tmpfs", &self.scratch, "tmpfs", MountFlags::NOSUID, None)?;

        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            let (from, to) = (entry.path(), self.scratch.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                // A link cannot be a mount point; copying it is the same.
                symlink(fs::read_link(&from)?, &to)?;
            } else if kind.is_dir() {
                fs::create_dir(&to)?;
                mount_bind_recursive(&from, &to)?;
            } else {
                File::create(&to)?;
                mount_bind(&from, &to)?;
            }
        }

        if parent == Path::new("/") {
            std::env::set_current_dir(&self.scratch)?;
            // The old root is then mounted over the new one and can be unmounted at once (man 2 pivot_root).
            pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
        } else {
            mount_move(&self.scratch, parent)?;
        }

        fs::create_dir_all(target)
    }

    /// Makes the mounts read-only that should be. The longest path decides: a writable volume in a read-only root.
    pub(super) fn make_read_only(&self) -> io::Result<()> {
        let writable: Vec<&Path> = (self
            .binds
            .iter()
            .filter(|bind| !bind.read_only)
            .map(|bind| &*bind.target))
        .chain(self.tmpfs.iter().map(|tmpfs| &*tmpfs.target))
        .chain(self.writable_paths.iter().map(|path| &**path))
        .chain(["/proc", "/dev", "/sys"].map(Path::new))
        .collect();

        let read_only: Vec<&Path> = (self.binds.iter().filter(|bind| bind.read_only))
            .map(|bind| &*bind.target)
            .collect();
        let longest = |paths: &[&Path], point: &Path| {
            let prefixes = paths.iter().filter(|path| point.starts_with(path));
            (prefixes.map(|path| path.components().count()).max()).unwrap_or(0)
        };

        for (point, flags) in mount_points()? {
            let (open, closed) = (longest(&writable, &point), longest(&read_only, &point));
            let stays_writable = open > closed || (closed == 0 && !self.read_only);
            if stays_writable {
                continue;
            }

            match remount_read_only(&point, flags) {
                // Hidden below another mount, so nothing can reach it.
                Ok(())
                | Err(
                    rustix::io::Errno::INVAL | rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS,
                ) => {}
                Err(error) => return Err(with_context("the read-only", &point, error.into())),
            }
        }

        Ok(())
    }
}

/// Returns every mount point with its flags, which a remount must repeat (man 5 proc, mountinfo).
pub(super) fn mount_points() -> io::Result<Vec<(PathBuf, MountFlags)>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let read = |line: &str| {
        // Fields: id, parent, device, root, mount point, options.
        let mut words = line.split(' ').skip(4);
        let (point, options) = (words.next()?, words.next()?);
        let mut flags = MountFlags::empty();
        for option in options.split(',') {
            flags |= match option {
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            };
        }
        Some((unescape_octal(point), flags))
    };

    Ok(text.lines().filter_map(read).collect())
}

/// Decodes the octal escapes of mountinfo: space, tab, newline, backslash.
fn unescape_octal(point: &str) -> PathBuf {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        // Last: its result must not be decoded again.
        ("\\134", "\\"),
    ];
    (escapes.iter())
        .fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
        .into()
}

pub(super) fn with_context(what: &str, path: &Path, error: io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{what} `{}`: {error}", path.display()),
    )
}
