//! The files of an image as a container's root, as an engine would show them.
//!
//! They are never written to: an overlay of two folders of the run lies on them. All of it happens in the
//! process that becomes the container's program, after it has been loaded: an image need not have the
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

use super::mounts::named;
use super::place::BARE;
use super::rights::read_only;
use super::{Layers, Mounts, Tmpfs};

/// What stands in the place of this machine's root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Root {
    /// The image's files.
    pub(crate) files: PathBuf,
    /// What lies on them.
    pub(crate) layers: Layers,
    /// What the definition wants mounted, and how.
    pub(crate) mounts: Mounts,
}

impl Layers {
    /// Lays them on the files. Where this machine's file system cannot lie under an overlay (another overlay
    /// cannot), memory takes what is written.
    fn lay(&self, files: &Path) -> io::Result<PathBuf> {
        let [changes, work, root] = self.folders();
        if overlay(files, &changes, &work, &root).is_ok() {
            return Ok(root);
        }

        mount("tmpfs", &self.0, "tmpfs", MountFlags::NOSUID, None)?;
        for folder in [&changes, &work, &root] {
            fs::create_dir(folder)?;
        }

        overlay(files, &changes, &work, &root)?;
        Ok(root)
    }
}

impl Root {
    /// Moves this process, in a mount namespace of its own, into the image, where `folder` is to exist.
    pub(super) fn enter(&self, folder: &Path) -> io::Result<()> {
        let root = self
            .layers
            .lay(&self.files)
            .map_err(|why| named("the image in", &self.files, why))?;
        let machine = Machine::new();

        fs::create_dir(within(&root, &machine.0))?;
        std::env::set_current_dir(&root)?;
        pivot_root(".", within(&root, &machine.0))?;
        std::env::set_current_dir("/")?;
        machine
            .devices()
            .map_err(|why| named("the devices in", Path::new("/dev"), why))?;
        machine.system();

        for bind in &self.mounts.binds {
            let volume = |why| named("the volume at", &bind.target, why);
            machine.bind(&bind.source, &bind.target).map_err(volume)?;
        }

        for Tmpfs { target, mebibytes } in &self.mounts.tmpfs {
            let told = |why| named("the tmpfs at", target, why);
            fs::create_dir_all(target).map_err(told)?;
            memory(target, &format!("size={mebibytes}m,mode=1777")).map_err(told)?;
        }

        for kept in &self.mounts.kept {
            machine
                .bind(kept, kept)
                .map_err(|why| named("the path", kept, why))?;
        }

        fs::create_dir_all(folder).map_err(|why| named("the folder", folder, why))?;
        machine.names(self.mounts.hosts.as_deref());
        unmount(&machine.0, UnmountFlags::DETACH)?;
        fs::remove_dir(&machine.0)?;

        self.mounts.close()
    }
}

/// Where this machine's root lies for a moment: a name that no image can know, so that no link in it leads there.
struct Machine(PathBuf);

impl Machine {
    fn new() -> Self {
        let word = || RandomState::new().build_hasher().finish();
        Self(format!("/.machine-{:016x}{:016x}", word(), word()).into())
    }

    /// A folder or a file of the machine at a place of the image.
    fn bind(&self, source: &Path, target: &Path) -> io::Result<()> {
        let source = within(&self.0, source);
        if !source.is_dir() {
            return file(&source, target);
        }
        fs::create_dir_all(target)?;
        Ok(mount_bind_recursive(&source, target)?)
    }

    /// Who is called what, and whom to ask, is the machine's, to be read; as every engine does.
    fn names(&self, hosts: Option<&Path>) {
        let own = [
            (hosts.unwrap_or(Path::new("/etc/hosts")), "/etc/hosts"),
            (Path::new("/etc/resolv.conf"), "/etc/resolv.conf"),
            (Path::new("/etc/hostname"), "/etc/hostname"),
        ];

        for (source, target) in own {
            let target = Path::new(target);
            // An image without names is an image still.
            let done = file(&within(&self.0, source), target);
            if done.is_ok() && read_only(target, MountFlags::empty()).is_err() {
                let _ = unmount(target, UnmountFlags::DETACH);
            }
        }
    }

    /// The devices of a container and no others (OCI runtime specification, "Default Devices").
    fn devices(&self) -> io::Result<()> {
        fs::create_dir_all("/dev")?;
        let flags = MountFlags::NOSUID;
        mount("tmpfs", "/dev", "tmpfs", flags, c"mode=755,size=65536k")?;

        for name in ["null", "zero", "full", "random", "urandom", "tty"] {
            let device = Path::new("/dev").join(name);
            file(&within(&self.0, &device), &device)?;
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
        memory(Path::new("/dev/shm"), "size=65536k,mode=1777")?;
        fs::create_dir("/dev/pts")?;

        let terminals = c"newinstance,ptmxmode=0666,mode=0620";
        // Without terminals of its own there is none to open.
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        let _ = mount("devpts", "/dev/pts", "devpts", flags, terminals);

        Ok(())
    }

    /// What the kernel shows of itself; where it shows no other one, this machine's.
    fn system(&self) {
        for (kind, path, flags) in [
            ("proc", "/proc", BARE),
            ("sysfs", "/sys", BARE | MountFlags::RDONLY),
        ] {
            let target = Path::new(path);
            let made = fs::create_dir_all(target);
            if made.is_err() || mount(kind, target, kind, flags, None).is_err() {
                let _ = self.bind(target, target);
            }
        }
    }
}

/// Shows `files` with `changes` on them at `root`.
fn overlay(files: &Path, changes: &Path, work: &Path, root: &Path) -> io::Result<()> {
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        escaped(files),
        escaped(changes),
        escaped(work)
    );

    // Who is root only here may not write the kernel's own notes into files; their owner's may be written.
    let forms = [options.clone() + ",userxattr", options];
    let of_all = fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains(EVERYBODY));
    let forms: &[String] = if of_all { &forms[1..] } else { &forms };
    let mut last = io::Error::from(io::ErrorKind::Unsupported);

    for options in forms {
        let options = CString::new(options.as_str())?;
        let done = mount(
            "overlay",
            root,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        );

        match done {
            Ok(()) => return Ok(()),
            Err(why) => last = why.into(),
        }
    }

    Err(last)
}

/// Commas and colons part the options from each other.
fn escaped(path: &Path) -> String {
    let special = |c: char| matches!(c, '\\' | ',' | ':');
    let text = path.to_string_lossy();
    text.chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// A path of one root below another one.
fn within(root: &Path, path: &Path) -> PathBuf {
    let names = path.components();
    root.join(
        names
            .filter(|name| matches!(name, Component::Normal(_)))
            .collect::<PathBuf>(),
    )
}

/// One file at a place that is made for it.
fn file(source: &Path, target: &Path) -> io::Result<()> {
    target.parent().map_or(Ok(()), fs::create_dir_all)?;
    File::options().create(true).append(true).open(target)?;
    Ok(mount_bind(source, target)?)
}

fn memory(target: &Path, options: &str) -> io::Result<()> {
    let options = CString::new(options)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("tmpfs", target, "tmpfs", flags, options.as_c_str())?)
}

/// The whole of the identities: this is no user namespace (man 7 user_namespaces).
pub(super) const EVERYBODY: &str = "4294967295";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_another_root() {
        let root = Path::new("/run/root");
        assert_eq!(
            within(root, Path::new("/a/../b")),
            Path::new("/run/root/a/b")
        );
        assert_eq!(within(root, Path::new("c")), Path::new("/run/root/c"));
    }

    #[test]
    fn what_parts_options_is_escaped() {
        assert_eq!(escaped(Path::new("/a,b:c\\d")), "/a\\,b\\:c\\\\d");
    }
}
