//! The files of an image as a container's root.
//!
//! The files are never changed: an overlay with two folders of the run receives all writes. It is mounted by
//! the process that becomes the container's program, after that process was loaded: an image may lack the
//! libraries that this program is linked with.

use std::ffi::CString;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, unmount};
use rustix::process::pivot_root;
use serde::{Deserialize, Serialize};

use super::capabilities::remount_read_only;
use super::mounts::with_context;
use super::process_context::RESTRICTED;
use super::{Mounts, Overlay, Tmpfs};

/// The root of a container that runs in an image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ImageRoot {
    /// The image's files.
    pub(crate) files: PathBuf,
    /// The folders of its overlay.
    pub(crate) overlay: Overlay,
    /// The mounts of the definition.
    pub(crate) mounts: Mounts,
}

impl Overlay {
    /// Mounts the overlay on the files and returns the mount point.
    ///
    /// If the host's file system cannot hold an upper folder (an overlay cannot), a tmpfs does.
    fn mount(&self, files: &Path) -> io::Result<PathBuf> {
        let [changes, work, root] = self.folders();
        if mount_overlay(files, &changes, &work, &root).is_ok() {
            return Ok(root);
        }

        mount("tmpfs", &self.0, "tmpfs", MountFlags::NOSUID, None)?;
        for folder in [&changes, &work, &root] {
            fs::create_dir(folder)?;
        }

        mount_overlay(files, &changes, &work, &root)?;
        Ok(root)
    }
}

impl ImageRoot {
    /// Changes the root of this process to the image and creates `folder` there. Needs its own mount namespace.
    pub(super) fn enter(&self, folder: &Path) -> io::Result<()> {
        let root = self
            .overlay
            .mount(&self.files)
            .map_err(|error| with_context("the image in", &self.files, error))?;
        let host = HostRoot::new();

        // The host's root stays reachable below the new root until the bind mounts are made.
        fs::create_dir(rebase(&root, &host.0))?;
        std::env::set_current_dir(&root)?;
        pivot_root(".", rebase(&root, &host.0))?;
        std::env::set_current_dir("/")?;
        host.create_devices()
            .map_err(|error| with_context("the devices in", Path::new("/dev"), error))?;
        host.mount_proc_and_sys();

        for bind in &self.mounts.binds {
            let volume = |error| with_context("the volume at", &bind.target, error);
            host.bind(&bind.source, &bind.target).map_err(volume)?;
        }

        for Tmpfs { target, mebibytes } in &self.mounts.tmpfs {
            let with_tmpfs = |error| with_context("the tmpfs at", target, error);
            fs::create_dir_all(target).map_err(with_tmpfs)?;
            mount_tmpfs(target, &format!("size={mebibytes}m,mode=1777")).map_err(with_tmpfs)?;
        }

        for path in &self.mounts.writable_paths {
            host.bind(path, path)
                .map_err(|error| with_context("the path", path, error))?;
        }

        fs::create_dir_all(folder).map_err(|error| with_context("the folder", folder, error))?;
        host.bind_name_files(self.mounts.hosts.as_deref());
        // Detached: from here on no path leads to the host.
        unmount(&host.0, UnmountFlags::DETACH)?;
        fs::remove_dir(&host.0)?;

        self.mounts.make_read_only()
    }
}

/// The temporary mount point of the host's root: a random name, so that no link in an image can point there.
struct HostRoot(PathBuf);

impl HostRoot {
    fn new() -> Self {
        let word = || RandomState::new().build_hasher().finish();
        Self(format!("/.host-{:016x}{:016x}", word(), word()).into())
    }

    /// Binds a folder or file of the host into the image.
    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        let source = rebase(&self.0, source);
        if !source.is_dir() {
            return bind_file(&source, target);
        }
        fs::create_dir_all(target)?;
        Ok(mount_bind_recursive(&source, target)?)
    }

    /// Binds the files for name resolution read-only, as container engines do.
    fn bind_name_files(&self, hosts: Option<&Path>) {
        let files = [
            (hosts.unwrap_or(Path::new("/etc/hosts")), "/etc/hosts"),
            (Path::new("/etc/resolv.conf"), "/etc/resolv.conf"),
            (Path::new("/etc/hostname"), "/etc/hostname"),
        ];

        for (source, target) in files {
            let target = Path::new(target);
            // An image can do without them; a writable one would change the host's file.
            let result = bind_file(&rebase(&self.0, source), target);
            if result.is_ok() && remount_read_only(target, MountFlags::empty()).is_err() {
                let _ = unmount(target, UnmountFlags::DETACH);
            }
        }
    }

    /// Creates the default devices of a container (OCI runtime specification, "Default Devices").
    fn create_devices(&self) -> io::Result<()> {
        fs::create_dir_all("/dev")?;
        let flags = MountFlags::NOSUID;
        mount("tmpfs", "/dev", "tmpfs", flags, c"mode=755,size=65536k")?;

        // Bound from the host: creating device nodes is not allowed in a user namespace.
        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let device = Path::new("/dev").join(name);
            bind_file(&rebase(&self.0, &device), &device)?;
        }

        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            symlink(target, Path::new("/dev").join(name))?;
        }

        fs::create_dir("/dev/shm")?;
        mount_tmpfs(Path::new("/dev/shm"), "size=65536k,mode=1777")?;
        fs::create_dir("/dev/pts")?;

        let terminals = c"newinstance,ptmxmode=0666,mode=0620";
        // Without it, programs cannot open a pseudoterminal; everything else works.
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        let _ = mount("devpts", "/dev/pts", "devpts", flags, terminals);

        Ok(())
    }

    /// Mounts `/proc` and `/sys`, or binds the host's if the kernel refuses new ones.
    fn mount_proc_and_sys(&self) {
        for (kind, path, flags) in [
            ("proc", "/proc", RESTRICTED),
            ("sysfs", "/sys", RESTRICTED | MountFlags::RDONLY),
        ] {
            let target = Path::new(path);
            let created = fs::create_dir_all(target);
            if created.is_err() || mount(kind, target, kind, flags, None).is_err() {
                let _ = self.bind(target, target);
            }
        }
    }
}

/// Mounts an overlay of `files` with the upper folder `changes` at `root`.
fn mount_overlay(files: &Path, changes: &Path, work: &Path, root: &Path) -> io::Result<()> {
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        escape_option(files),
        escape_option(changes),
        escape_option(work)
    );

    // In a user namespace the kernel cannot write trusted.* attributes; userxattr uses user.* instead.
    let variants = [options.clone() + ",userxattr", options];
    let is_initial =
        fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains(FULL_ID_RANGE));
    let variants: &[String] = if is_initial {
        &variants[1..]
    } else {
        &variants
    };
    let mut last_error = io::Error::from(io::ErrorKind::Unsupported);

    for options in variants {
        let options = CString::new(options.as_str())?;
        let result = mount(
            "overlay",
            root,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        );

        match result {
            Ok(()) => return Ok(()),
            // Kernels before 5.11 do not know userxattr, so the other variant is tried, too.
            Err(error) => last_error = error.into(),
        }
    }

    Err(last_error)
}

/// Escapes the characters that separate mount options and lower folders.
fn escape_option(path: &Path) -> String {
    let special = |c: char| matches!(c, '\\' | ',' | ':');
    let text = path.to_string_lossy();
    text.chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// Returns a path below another root; `..` is ignored, so it cannot escape.
fn rebase(root: &Path, path: &Path) -> PathBuf {
    let names = path
        .components()
        .filter(|name| matches!(name, Component::Normal(_)));
    root.join(names.collect::<PathBuf>())
}

/// Creates the target and binds a file to it.
fn bind_file(source: &Path, target: &Path) -> io::Result<()> {
    target.parent().map_or(Ok(()), fs::create_dir_all)?;
    File::options().create(true).append(true).open(target)?;
    Ok(mount_bind(source, target)?)
}

fn mount_tmpfs(target: &Path, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("tmpfs", target, "tmpfs", flags, options.as_c_str())?)
}

/// The size of the id range in the initial user namespace (man 7 user_namespaces).
pub(super) const FULL_ID_RANGE: &str = "4294967295";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebased_path_stays_below_its_root() {
        let root = Path::new("/run/root");
        assert_eq!(
            rebase(root, Path::new("/a/../b")),
            Path::new("/run/root/a/b")
        );
        assert_eq!(rebase(root, Path::new("c")), Path::new("/run/root/c"));
    }

    #[test]
    fn escapes_the_separators_of_mount_options() {
        assert_eq!(escape_option(Path::new("/a,b:c\\d")), "/a\\,b\\:c\\\\d");
    }
}
