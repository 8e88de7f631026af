//! What a container finds where: volumes, a root it cannot write to, names of its own.
//!
//! Its root is this machine's. What must be where nothing is gets room without a trace on the machine: a
//! tmpfs takes the place of the folder above, with everything that was in it bound to where it was.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_move, unmount,
};
use rustix::process::pivot_root;
use serde::{Deserialize, Serialize};

use super::rights::read_only;

/// All of a container's mounts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Mounts {
    /// Volumes.
    pub(crate) binds: Vec<Bind>,
    /// Memory that looks like a folder.
    pub(crate) tmpfs: Vec<Tmpfs>,
    /// Nothing can be written but to volumes, tmpfs and `kept`.
    pub(crate) read_only: bool,
    /// Files and folders of this machine that stay where they are, and writable, whatever is mounted above.
    pub(crate) kept: Vec<PathBuf>,
    /// What stands for `/etc/hosts`.
    pub(crate) hosts: Option<PathBuf>,
    /// An empty folder to build in.
    pub(crate) room: PathBuf,
}

/// A volume and where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) read_only: bool,
}

/// A tmpfs of so many MiB.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tmpfs {
    pub(crate) target: PathBuf,
    pub(crate) mebibytes: u32,
}

impl Mounts {
    /// Does all of it, in the mount namespace this process is in.
    pub(super) fn arrange(&self) -> io::Result<()> {
        for bind in &self.binds {
            let volume = |why| named("the volume at", &bind.target, why);
            self.keep_within(bind).map_err(volume)?;
            self.make_room(&bind.target).map_err(volume)?;
            mount_bind_recursive(&bind.source, &bind.target).map_err(|why| volume(why.into()))?;
        }

        for tmpfs in &self.tmpfs {
            let told = |why| named("the tmpfs at", &tmpfs.target, why);
            self.make_room(&tmpfs.target).map_err(told)?;
            let size = std::ffi::CString::new(format!("size={}m,mode=1777", tmpfs.mebibytes))?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", &tmpfs.target, "tmpfs", flags, size.as_c_str())
                .map_err(|why| told(why.into()))?;
        }

        if let Some(hosts) = &self.hosts {
            mount_bind(hosts, "/etc/hosts")
                .map_err(|why| named("the names in", Path::new("/etc/hosts"), why.into()))?;
        }

        if self.read_only {
            // Each a mount of its own, so that it can stay as it is.
            for kept in &self.kept {
                mount_bind_recursive(kept, kept)
                    .map_err(|why| named("the path", kept, why.into()))?;
            }
        }

        self.close()
    }

    /// What must stay visible below a volume is bound into the volume before it is mounted.
    fn keep_within(&self, bind: &Bind) -> io::Result<()> {
        let nested = |kept: &PathBuf| {
            self.kept
                .iter()
                .any(|one| one != kept && kept.starts_with(one))
        };

        for kept in self.kept.iter().filter(|kept| !nested(kept)) {
            let Ok(within) = kept.strip_prefix(&bind.target) else {
                continue;
            };
            let place = bind.source.join(within);

            if kept.is_dir() {
                fs::create_dir_all(&place)?;
            } else {
                place.parent().map_or(Ok(()), fs::create_dir_all)?;
                // What is there already stays as it is.
                File::options().create(true).append(true).open(&place)?;
            }
            mount_bind_recursive(kept, &place)?;
        }

        Ok(())
    }

    /// Lets a folder exist that this machine does not have.
    fn make_room(&self, target: &Path) -> io::Result<()> {
        if target.is_dir() {
            return Ok(());
        }

        let above = target.ancestors().find(|above| above.is_dir());
        let above = above.unwrap_or(Path::new("/"));
        mount("tmpfs", &self.room, "tmpfs", MountFlags::NOSUID, None)?;

        for entry in fs::read_dir(above)? {
            let entry = entry?;
            let (from, to) = (entry.path(), self.room.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                symlink(fs::read_link(&from)?, &to)?;
            } else if kind.is_dir() {
                fs::create_dir(&to)?;
                mount_bind_recursive(&from, &to)?;
            } else {
                File::create(&to)?;
                mount_bind(&from, &to)?;
            }
        }

        if above == Path::new("/") {
            std::env::set_current_dir(&self.room)?;
            // The old root lies on the new one for a moment (man 2 pivot_root).
            pivot_root(".", ".")?;
            unmount(".", UnmountFlags::DETACH)?;
        } else {
            mount_move(&self.room, above)?;
        }

        fs::create_dir_all(target)
    }

    /// Takes away the right to write, mount by mount.
    pub(super) fn close(&self) -> io::Result<()> {
        let open: Vec<&Path> = (self
            .binds
            .iter()
            .filter(|bind| !bind.read_only)
            .map(|bind| &*bind.target))
        .chain(self.tmpfs.iter().map(|one| &*one.target))
        .chain(self.kept.iter().map(|kept| &**kept))
        .chain(["/proc", "/dev", "/sys"].map(Path::new))
        .collect();

        let shut: Vec<&Path> = (self.binds.iter().filter(|bind| bind.read_only))
            .map(|bind| &*bind.target)
            .collect();
        let longest = |all: &[&Path], point: &Path| {
            let found = all.iter().filter(|one| point.starts_with(one));
            found.map(|one| one.components().count()).max().unwrap_or(0)
        };

        for (point, flags) in mounted()? {
            let (opened, shutting) = (longest(&open, &point), longest(&shut, &point));
            let is_open = opened > shutting || (shutting == 0 && !self.read_only);
            if is_open {
                continue;
            }

            match read_only(&point, flags) {
                // It lies below another mount, where nobody comes any more.
                Ok(())
                | Err(
                    rustix::io::Errno::INVAL | rustix::io::Errno::NOENT | rustix::io::Errno::ACCESS,
                ) => {}
                Err(why) => return Err(named("the read-only", &point, why.into())),
            }
        }

        Ok(())
    }
}

/// Every mount point and the flags it has, which have to be said again (`man 5 proc`, mountinfo).
pub(super) fn mounted() -> io::Result<Vec<(PathBuf, MountFlags)>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let read = |line: &str| {
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
        Some((unescaped(point), flags))
    };

    Ok(text.lines().filter_map(read).collect())
}

/// Blanks, tabs, newlines and backslashes are written in octal there.
fn unescaped(point: &str) -> PathBuf {
    let all = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    all.iter()
        .fold(point.to_owned(), |text, (from, to)| text.replace(from, to))
        .into()
}

pub(super) fn named(what: &str, path: &Path, why: io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("{what} `{}`: {why}", path.display()))
}
