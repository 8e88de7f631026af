//! What a container may not do, whoever it is: as Docker and Fargate have it.
//!
//! The rights are capabilities that nobody gets back (man 7 capabilities), and what the kernel shows of itself
//! and takes changes of can be read only. Without the right to mount, nobody undoes it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount_bind, mount_bind_recursive, mount_remount};
use rustix::thread::{
    CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set,
};

use super::mounts::mounted;

/// Gives up all rights but those that Docker leaves, for good.
pub(super) fn give_up() -> io::Result<()> {
    for right in CapabilitySet::all().difference(KEPT).iter() {
        // A kernel need not know all of them.
        if capability_is_in_bounding_set(right).unwrap_or(false) {
            remove_capability_from_bounding_set(right)?;
        }
    }
    Ok(())
}

/// Lets nobody change the kernel through what it shows, or leave a control group.
pub(super) fn close_the_kernel() {
    for name in ["sys", "sysrq-trigger", "irq", "bus", "fs"] {
        let path = Path::new("/proc").join(name);
        // Where it is not there, or not to be covered, it is out of reach as well.
        let bound = mount_bind_recursive(&path, &path);
        let _ = bound.and_then(|()| read_only(&path, MountFlags::empty()));
    }

    for name in ["kcore", "keys", "timer_list"] {
        let _ = mount_bind("/dev/null", Path::new("/proc").join(name));
    }

    let groups = |(point, _): &(PathBuf, MountFlags)| point.starts_with("/sys/fs/cgroup");
    for (point, flags) in mounted()
        .unwrap_or_default()
        .iter()
        .filter(|one| groups(one))
    {
        let _ = read_only(point, *flags);
    }
}

/// Takes away the right to write into a mount, which keeps its other flags.
pub(super) fn read_only(path: &Path, flags: MountFlags) -> rustix::io::Result<()> {
    mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | flags, "")
}

/// Docker's default; ECS on Fargate adds none but `SYS_PTRACE`, and only where asked to.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
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
