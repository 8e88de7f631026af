//! Where one process of a task lives, as its init and the process that becomes it are told.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};
use rustix::process::{Resource, Rlimit, getegid, geteuid, getrlimit, setrlimit};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::identities::Outside;
use super::rights::{close_the_kernel, give_up};
use super::{Mounts, Root};

/// What an init is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The process whose namespaces are the task's; none where the machine gives out none.
    pub(crate) keeper: Option<u32>,
    /// A PID namespace of its own: its first process is PID 1.
    pub(crate) alone: bool,
    /// The process whose PID namespace it lives in, unless `alone`.
    pub(crate) processes_of: Option<u32>,
    /// What it finds where; none for a command beside a container, which finds what the container does.
    pub(crate) mounts: Option<Mounts>,
    /// The control groups it writes itself into.
    #[serde(default)]
    pub(crate) groups: Vec<PathBuf>,
    /// The signal that asks it to stop, where it is another one than SIGTERM.
    pub(crate) stop_signal: Option<i32>,
    /// What happens last.
    pub(crate) last: Last,
}

/// What the process is told that becomes the container's program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Last {
    /// It lives in a sandbox, and sees the processes of its PID namespace in `/proc`.
    pub(crate) own_proc: bool,
    /// The first process of the container that it is a command beside of.
    pub(crate) beside: Option<u32>,
    /// The user and the group that it is; who started the task stands behind both.
    pub(crate) user: Option<(u32, u32)>,
    /// Who else exists where it lives.
    #[serde(default)]
    pub(crate) others: Others,
    /// How many files it may have open: soft, hard.
    pub(crate) files: Option<(u64, u64)>,
    /// Its input is a line to its init, which closes when the program has begun.
    #[serde(default)]
    pub(crate) announced: bool,
    /// A small init stands before the program: `initProcessEnabled`.
    pub(crate) init: bool,
    /// Where it runs, once the mounts are there.
    pub(crate) folder: PathBuf,
    /// The files of its image, in the place of this machine's.
    pub(crate) root: Option<Root>,
}

/// Whom a process finds beside the user that it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Others {
    /// Nobody.
    #[default]
    Nobody,
    /// Everybody: only root can have that.
    Everybody {
        /// Who is root there is this user outside, and so on.
        from: u32,
    },
}

impl Last {
    /// Whether its program is a file of an image, not of this machine.
    pub(crate) fn is_in_image(&self) -> bool {
        self.root.is_some()
    }
}

impl Place {
    /// Moves this process, which has no threads yet, into the task and its groups, and arranges its mounts.
    pub(crate) fn enter(&self) -> io::Result<()> {
        for group in &self.groups {
            fs::write(group, "0")?;
        }
        let Some(keeper) = self.keeper else {
            return Ok(());
        };
        let kinds = ["user", "net", "mnt"];

        join(keeper, &kinds)?;
        if let Some(mounts) = &self.mounts {
            new_namespace(UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS)?;
            mounts.arrange()?;
        }

        Ok(())
    }

    /// Whether others than the container's live in its PID namespace.
    pub(crate) fn shares_processes(&self) -> bool {
        self.mounts.is_some() && !self.alone
    }

    /// Lets this thread's next child be born where it is to live; says whether it will be alone.
    pub(crate) fn give_birth(&self) -> io::Result<bool> {
        if self.alone {
            return Ok(new_namespace(UnshareFlags::NEWPID).is_ok());
        }
        if let Some(other) = self.processes_of {
            join(other, &["pid"])?;
        }
        Ok(false)
    }
}

/// Does what is left, just before the program: nothing that it starts can undo it.
pub(crate) fn finish(last: &Last) -> io::Result<()> {
    let outside = match last.others {
        Others::Nobody => None,
        Others::Everybody { from } => Some(Outside::begin(from)?),
    };

    if let Some(beside) = last.beside {
        join(beside, &["net", "ipc", "uts", "mnt"])?;
    } else if last.own_proc {
        new_namespace(UnshareFlags::NEWNS)?;
        if let Some(root) = &last.root {
            root.enter(&last.folder)?;
        } else {
            // Where part of the machine's own is covered, the kernel does not show another one.
            let _ = mount("proc", "/proc", "proc", BARE, None);
        }
        close_the_kernel();
    }

    std::env::set_current_dir(&last.folder)?;
    if let Some((soft, hard)) = last.files {
        limit_files(soft, hard)?;
    }

    let lives_apart = last.own_proc || last.beside.is_some();
    let Some((user, group)) = last.user else {
        return if lives_apart { give_up() } else { Ok(()) };
    };

    if let Some(outside) = outside {
        return outside.enter(user, group);
    }

    let (own, own_group) = (geteuid(), getegid());
    new_namespace(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {} 1", own.as_raw()))?;
    fs::write(
        "/proc/self/gid_map",
        format!("{group} {} 1", own_group.as_raw()),
    )?;

    give_up()
}

/// As many as asked for, or as many as this machine allows.
fn limit_files(soft: u64, hard: u64) -> io::Result<()> {
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let within = Rlimit {
        current: Some(soft.min(hard).min(most)),
        maximum: Some(hard.min(most)),
    };
    Ok(setrlimit(Resource::Nofile, within)?)
}

/// Joins namespaces of a process, where they are not this one's already.
pub(crate) fn join(pid: u32, kinds: &[&str]) -> io::Result<()> {
    let mut found = Vec::new();
    for kind in kinds {
        let path = format!("/proc/{pid}/ns/{kind}");
        let own = Path::new("/proc/self/ns").join(kind);
        if fs::read_link(&path)? != fs::read_link(own)? {
            found.push((*kind, File::open(path)?));
        }
    }

    // All are open: from now on `/proc` may be another one.
    for (kind, file) in found {
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

/// Nothing in it is a program or a device.
pub(super) const BARE: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

#[expect(
    deprecated,
    reason = "what takes this function's place is unsafe for the sake of other flags than ours"
)]
pub(crate) fn new_namespace(kind: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(kind)
}
