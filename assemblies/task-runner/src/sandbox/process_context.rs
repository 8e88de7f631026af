//! The environment of a process in a task, as its init and the program before the exec receive it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit, getegid, geteuid, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::capabilities::{drop_capabilities, protect_kernel_files};
use super::id_map::MapWriter;
use super::{ImageRoot, Mounts};

/// What an init sets up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ProcessContext {
    /// The process in the task's namespaces; `None` without a sandbox.
    pub(crate) namespace_holder: Option<u32>,
    /// Create a PID namespace: the first process is PID 1.
    pub(crate) own_pid_namespace: bool,
    /// A process in the PID namespace to join, unless it creates its own.
    pub(crate) pid_namespace_of: Option<u32>,
    /// The mounts to make; `None` for a command in a container, which joins the container's mounts.
    pub(crate) mounts: Option<Mounts>,
    /// The `cgroup.procs` files to write itself into.
    #[serde(default)]
    pub(crate) cgroups: Vec<PathBuf>,
    /// The stop signal, if it is not SIGTERM.
    pub(crate) stop_signal: Option<i32>,
    /// The setup right before the exec.
    pub(crate) exec: ExecContext,
}

/// The setup right before the program is executed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ExecContext {
    /// Mount `/proc` for its PID namespace. True for containers in a sandbox.
    pub(crate) mounts_proc: bool,
    /// For a command in a container: the container's first process.
    pub(crate) joins_container: Option<u32>,
    /// The user and group inside; outside it is the caller.
    pub(crate) user: Option<(u32, u32)>,
    /// The other ids in its user namespace.
    #[serde(default)]
    pub(crate) user_map: UserMap,
    /// The limit of open files: soft, hard.
    pub(crate) open_files: Option<(u64, u64)>,
    /// Its stdin is a pipe to init that closes on the exec.
    #[serde(default)]
    pub(crate) reports_start: bool,
    /// Run an init process as PID 1 before the program: `initProcessEnabled`.
    pub(crate) runs_reaper: bool,
    /// The working directory, within the mounts.
    pub(crate) folder: PathBuf,
    /// The root file system, if the program runs in an image.
    pub(crate) root: Option<ImageRoot>,
}

/// The ids in a process's user namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UserMap {
    /// Only its own user and group.
    #[default]
    Single,
    /// A full range of ids, which only root can map.
    All {
        /// The host id of the root user inside.
        from: u32,
    },
}

impl ExecContext {
    /// Returns true if the program is a file of an image instead of the host.
    pub(crate) fn is_in_image(&self) -> bool {
        self.root.is_some()
    }
}

impl ProcessContext {
    /// Moves this process into the task and its cgroups, and makes its mounts. It must be single-threaded.
    pub(crate) fn enter(&self) -> io::Result<()> {
        // First, so that everything that follows counts against the limits. 0 means the writing process.
        for group in &self.cgroups {
            fs::write(group, "0")?;
        }
        let Some(namespace_holder) = self.namespace_holder else {
            return Ok(());
        };
        // The user namespace first: it grants the capabilities to join the others.
        let kinds = ["user", "net", "mnt"];

        join_namespaces(namespace_holder, &kinds)?;
        if let Some(mounts) = &self.mounts {
            new_namespace(UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
            mounts.apply()?;
        }

        Ok(())
    }

    /// Returns true if other containers live in the same PID namespace.
    pub(crate) fn shares_pid_namespace(&self) -> bool {
        self.mounts.is_some() && !self.own_pid_namespace
    }

    /// Sets the PID namespace of this thread's next child; returns true if it is a new one.
    pub(crate) fn prepare_child_namespace(&self) -> io::Result<bool> {
        if self.own_pid_namespace {
            // Without a namespace the container still runs; the runner warns that it is not PID 1.
            return Ok(new_namespace(UnshareFlags::NEWPID).is_ok());
        }
        if let Some(other) = self.pid_namespace_of {
            join_namespaces(other, &["pid"])?;
        }
        Ok(false)
    }
}

/// Completes the setup. The program that follows has no capabilities to undo it.
pub(crate) fn prepare_exec(exec: &ExecContext) -> io::Result<()> {
    // Before the root changes: the process needs this program's file.
    let map_writer = match exec.user_map {
        UserMap::Single => None,
        UserMap::All { from } => Some(MapWriter::spawn(from)?),
    };

    if let Some(first) = exec.joins_container {
        join_namespaces(first, &["net", "ipc", "uts", "mnt"])?;
    } else if exec.mounts_proc {
        new_namespace(UnshareFlags::NEWNS)?;
        if let Some(root) = &exec.root {
            root.enter(&exec.folder)?;
        } else {
            // Fails where parts of the host's `/proc` are covered, as in a container: the kernel then
            // refuses an uncovered one in a user namespace (man 7 mount_namespaces).
            let _ = mount("proc", "/proc", "proc", RESTRICTED, None);
        }
        protect_kernel_files();
    }

    // After the mounts: the folder may be part of one.
    std::env::set_current_dir(&exec.folder)?;
    if let Some((soft, hard)) = exec.open_files {
        set_open_file_limit(soft, hard)?;
    }

    let is_isolated = exec.mounts_proc || exec.joins_container.is_some();
    let Some((user, group)) = exec.user else {
        return if is_isolated {
            drop_capabilities()
        } else {
            Ok(())
        };
    };

    if let Some(map_writer) = map_writer {
        return map_writer.enter(user, group);
    }

    let (own, own_group) = (geteuid(), getegid());
    new_namespace(UnshareFlags::NEWUSER)?;
    // An unprivileged process may write gid_map only after it gave up setgroups (man 7 user_namespaces).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {} 1", own.as_raw()))?;
    fs::write(
        "/proc/self/gid_map",
        format!("{group} {} 1", own_group.as_raw()),
    )?;

    drop_capabilities()
}

/// Sets the limit of open files, at most the hard limit of this process.
fn set_open_file_limit(soft: u64, hard: u64) -> io::Result<()> {
    let max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limit = Rlimit {
        current: Some(soft.min(hard).min(max)),
        maximum: Some(hard.min(max)),
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Joins the namespaces of a process that this one is not in already.
pub(crate) fn join_namespaces(pid: u32, kinds: &[&str]) -> io::Result<()> {
    let mut namespaces = Vec::new();
    for kind in kinds {
        let path = format!("/proc/{pid}/ns/{kind}");
        let own = Path::new("/proc/self/ns").join(kind);
        // The kernel refuses to join a user namespace that one is already in (man 2 setns).
        if fs::read_link(&path)? != fs::read_link(own)? {
            namespaces.push((*kind, File::open(path)?));
        }
    }

    // Opened before the first join: joining the mount namespace may change `/proc`.
    for (kind, file) in namespaces {
        let kind = match kind {
            "user" => LinkNameSpaceType::User,
            "net" => LinkNameSpaceType::Network,
            "ipc" => LinkNameSpaceType::InterProcessCommunication,
            "pid" => LinkNameSpaceType::ProcessID,
            "uts" => LinkNameSpaceType::HostNameAndNISDomainName,
            _ => LinkNameSpaceType::Mount,
        };
        move_into_link_name_space(file.as_fd(), Some(kind))?;
    }

    Ok(())
}

/// Flags of a file system without programs, devices and set-user-ID files.
pub(super) const RESTRICTED: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

#[expect(
    deprecated,
    reason = "its replacement is unsafe because of CLONE_FILES, which is not used here"
)]
pub(crate) fn new_namespace(kind: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(kind)
}
