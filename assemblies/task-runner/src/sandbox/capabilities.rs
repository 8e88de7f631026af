//! What no user in a container may do, as in Docker and on Fargate.
//!
//! Capabilities outside of Docker's default set are dropped from the bounding set for good
//! (man 7 capabilities). Kernel files that accept writes are mounted read-only. Without CAP_SYS_ADMIN no
//! process in the container can undo it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount_bind, mount_bind_recursive, mount_remount};
use rustix::thread::{
    CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set,
};

use super::mounts::mount_points;

/// Drops all capabilities outside of Docker's default set from the bounding set.
pub(super) fn drop_capabilities() -> io::Result<()> {
    for capability in CapabilitySet::all().difference(DEFAULT_CAPABILITIES).iter() {
        // An older kernel does not know all of them; dropping one it lacks is an error.
        if capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    Ok(())
}

/// Makes kernel files read-only, so that no process changes the kernel or leaves its cgroup.
pub(super) fn protect_kernel_files() {
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let path = Path::new("/proc").join(name);
        // Fails if the file does not exist or cannot be mounted over: then it is out of reach, too.
        let bound = mount_bind_recursive(&path, &path);
        let _ = bound.and_then(|()| remount_read_only(&path, MountFlags::empty()));
    }

    // These reveal the memory and the keys of the kernel; Docker hides them, too.
    for name in ["kcore", "keys", "timer_list"] {
        let _ = mount_bind("/dev/null", Path::new("/proc").join(name));
    }

    let is_cgroup = |(point, _): &(PathBuf, MountFlags)| point.starts_with("/sys/fs/cgroup");
    for (point, flags) in mount_points()
        .unwrap_or_default()
        .iter()
        .filter(|mount| is_cgroup(mount))
    {
        let _ = remount_read_only(point, *flags);
    }
}

/// Remounts read-only; `flags` are the other flags of the mount, which a remount would clear.
pub(super) fn remount_read_only(path: &Path, flags: MountFlags) -> rustix::io::Result<()> {
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | flags, "")
}

/// Docker's default set. ECS on Fargate can add only `SYS_PTRACE`.
const DEFAULT_CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);
