//! Control groups: the kernel enforces the memory and CPU limits of a task and its containers, as on Fargate.
//!
//! The task gets a cgroup with its `memory` and `cpu`. Each container gets one below it, with its `memory` as a
//! hard limit and its `cpu` as a share. Both versions of the kernel's interface work (kernel documentation,
//! "Control Group v2" and "Control Groups version 1") if this process may create cgroups below its own. Each
//! init moves itself into the cgroup first, so everything the container starts is limited.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use task_definition::TaskDefinition;
use task_definition::fargate_sizes::{parse_cpu, parse_memory};

/// The cgroups of one task; dropping it removes them.
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    containers: Vec<String>,
}

/// The cgroup of the task in one hierarchy; the cgroups of the containers are below it.
#[derive(Debug)]
struct Hierarchy {
    kind: HierarchyKind,
    task: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HierarchyKind {
    /// Version 2: one hierarchy for all controllers.
    Unified,
    /// Version 1: one hierarchy for each controller.
    Memory,
    Cpu,
}

impl Cgroups {
    /// Creates the cgroups of a task.
    ///
    /// # Errors
    ///
    /// Returns an error if no hierarchy with a memory controller lets this process create cgroups.
    pub fn open(definition: &TaskDefinition) -> io::Result<Self> {
        static TASKS: AtomicU32 = AtomicU32::new(0);

        let number = TASKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let containers = &definition.container_definitions;
        // The name contains the pid, so that a later runner can recognize cgroups of a dead one.
        let mut cgroups = Self {
            hierarchies: Vec::new(),
            containers: containers
                .iter()
                .map(|container| container.name.clone())
                .collect(),
        };

        for (kind, own) in hierarchies()? {
            remove_stale(&own);
            let task = own.join(&name);
            fs::create_dir(&task)?;
            // Added before the next error can occur, so that the drop removes it.
            cgroups.hierarchies.push(Hierarchy { kind, task });
        }

        for hierarchy in &cgroups.hierarchies {
            hierarchy.limit_task(definition)?;
            for container in containers {
                let cgroup = hierarchy.task.join(&container.name);
                fs::create_dir(&cgroup)?;
                let cpu = container.cpu.map_or(0, u64::from);
                hierarchy.limit_container(&cgroup, container.memory, cpu)?;
            }
        }

        if (cgroups.hierarchies.iter()).any(|hierarchy| hierarchy.kind != HierarchyKind::Cpu) {
            Ok(cgroups)
        } else {
            Err(io::Error::other("no cgroup for memory"))
        }
    }

    /// Returns true if `cpu` is enforced, too.
    pub fn limits_cpu(&self) -> bool {
        (self.hierarchies.iter()).any(|hierarchy| hierarchy.kind != HierarchyKind::Memory)
    }

    /// Returns the `cgroup.procs` files of a container: a process writes itself into them.
    pub(crate) fn process_files(&self, container: &str) -> Vec<PathBuf> {
        let file = |hierarchy: &Hierarchy| hierarchy.task.join(container).join("cgroup.procs");
        self.hierarchies.iter().map(file).collect()
    }

    /// Returns how many processes of a container the kernel killed at a memory limit of the container or the task.
    pub(crate) fn oom_kills(&self, container: &str) -> u64 {
        let kills = |hierarchy: &Hierarchy| {
            let file = match hierarchy.kind {
                HierarchyKind::Unified => "memory.events",
                HierarchyKind::Memory => "memory.oom_control",
                HierarchyKind::Cpu => return None,
            };

            let text = fs::read_to_string(hierarchy.task.join(container).join(file)).ok()?;
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        self.hierarchies.iter().filter_map(kills).sum()
    }
}

impl Hierarchy {
    /// Sets the task's limits: `memory` in MiB, `cpu` in 1/1024 of a processor.
    fn limit_task(&self, definition: &TaskDefinition) -> io::Result<()> {
        let memory = (definition.memory.as_deref())
            .and_then(parse_memory)
            .map(|count| u64::from(count) * MEBIBYTE);
        let quota = (definition.cpu.as_deref())
            .and_then(parse_cpu)
            .map(|cpu| u64::from(cpu) * PERIOD_MICROS / 1024);
        let task = &self.task;

        match self.kind {
            HierarchyKind::Unified => {
                // Version 2 enables controllers for the cgroups below, one level at a time.
                for controller in ["+memory", "+cpu"] {
                    write(task, "cgroup.subtree_control", controller)?;
                }
                if let Some(quota) = quota {
                    write(task, "cpu.max", &format!("{quota} {PERIOD_MICROS}"))?;
                }
            }
            HierarchyKind::Memory => {
                // Without it the limit ignores the cgroups below. Newer kernels always behave as if it were 1.
                let _ = write(task, "memory.use_hierarchy", "1");
            }
            HierarchyKind::Cpu => {
                if let Some(quota) = quota {
                    write(task, "cpu.cfs_period_us", &PERIOD_MICROS.to_string())?;
                    write(task, "cpu.cfs_quota_us", &quota.to_string())?;
                }
            }
        }

        memory.map_or(Ok(()), |bytes| self.limit_memory(task, bytes))
    }

    /// Sets a container's limits: `memory` in MiB, and `cpu` as its share when processors are contended.
    fn limit_container(&self, group: &Path, memory: Option<u32>, cpu: u64) -> io::Result<()> {
        // As the ECS agent does: a container without `cpu` gets the minimum, 2 shares.
        let shares = cpu.clamp(2, 262_144);
        match self.kind {
            HierarchyKind::Unified => {
                // Maps 2..262144 shares linearly to the weights 1..10000 of version 2.
                let weight = 1 + (shares - 2) * 9999 / 262_142;
                write(group, "cpu.weight", &weight.to_string())?;
            }
            HierarchyKind::Cpu => write(group, "cpu.shares", &shares.to_string())?,
            HierarchyKind::Memory => {}
        }

        let bytes = memory.map(|count| u64::from(count) * MEBIBYTE);
        bytes.map_or(Ok(()), |bytes| self.limit_memory(group, bytes))
    }

    /// Sets a memory limit. Fargate has no swap, so swap is disabled.
    fn limit_memory(&self, group: &Path, bytes: u64) -> io::Result<()> {
        // Writing the swap limit fails on kernels without swap accounting, which is as good.
        match self.kind {
            HierarchyKind::Unified => {
                write(group, "memory.max", &bytes.to_string())?;
                let _ = write(group, "memory.swap.max", "0");
                Ok(())
            }
            HierarchyKind::Memory => {
                write(group, "memory.limit_in_bytes", &bytes.to_string())?;
                let _ = write(group, "memory.memsw.limit_in_bytes", &bytes.to_string());
                Ok(())
            }
            HierarchyKind::Cpu => Ok(()),
        }
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for hierarchy in &self.hierarchies {
            // A cgroup can be removed only after those below it.
            let below = self.containers.iter().map(|name| hierarchy.task.join(name));
            for group in below.chain([hierarchy.task.clone()]) {
                remove(&group);
            }
        }
    }
}

impl fmt::Debug for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.hierarchies).finish()
    }
}

/// Removes a cgroup. The kernel reports it as busy until the last dead process is reaped, so it retries.
fn remove(group: &Path) {
    for _ in 0..50 {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(2));
            }
            _ => return,
        }
    }
}

/// Removes the cgroups of runners that were killed: those with the pid of no process.
fn remove_stale(own: &Path) {
    let entries = fs::read_dir(own).into_iter().flatten().flatten();
    for group in entries.map(|entry| entry.path()) {
        let name = group.file_name().and_then(|name| name.to_str());
        let owner = name
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next())
            .and_then(|pid| Pid::from_raw(pid.parse().ok()?));

        // EPERM means the process exists, too: only ESRCH proves it is gone.
        if owner.is_none_or(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH)) {
            continue;
        }

        let below = fs::read_dir(&group).into_iter().flatten().flatten();
        for container in below.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            let _ = fs::remove_dir(container);
        }
        let _ = fs::remove_dir(group);
    }
}

/// Returns this process's own cgroup in each hierarchy that can limit memory or CPU.
fn hierarchies() -> io::Result<Vec<(HierarchyKind, PathBuf)>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let found: Vec<_> = [
        HierarchyKind::Unified,
        HierarchyKind::Memory,
        HierarchyKind::Cpu,
    ]
    .into_iter()
    .filter_map(|kind| Some((kind, cgroup_path(kind, &mounts, &own)?)))
    .filter(|(kind, own)| *kind != HierarchyKind::Unified || has_controllers(own))
    .collect();

    if found.is_empty() {
        return Err(io::Error::other(
            "no cgroup hierarchies for memory and cpu are mounted",
        ));
    }

    // A controller belongs to one version at a time: if version 2 has both, version 1 has neither.
    let is_unified = found
        .iter()
        .any(|(kind, _)| *kind == HierarchyKind::Unified);
    let is_usable = |kind: HierarchyKind| (kind == HierarchyKind::Unified) == is_unified;
    Ok(found
        .into_iter()
        .filter(|(kind, _)| is_usable(*kind))
        .collect())
}

fn has_controllers(own: &Path) -> bool {
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let has = |name| {
        controllers
            .split_whitespace()
            .any(|controller| controller == name)
    };
    has("memory") && has("cpu") && can_delegate(own)
}

/// Returns true if the controllers are, or can be, enabled for cgroups below. Version 2 allows that only in a cgroup
/// without processes, or in the root cgroup ("no internal process constraint").
fn can_delegate(own: &Path) -> bool {
    let enabled = fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default();
    let has = |name| {
        enabled
            .split_whitespace()
            .any(|controller| controller == name)
    };
    (has("memory") && has("cpu"))
        || (write(own, "cgroup.subtree_control", "+memory").is_ok()
            && write(own, "cgroup.subtree_control", "+cpu").is_ok())
}

/// Returns the path of this process's cgroup: the path in `/proc/self/cgroup` below the mount point of the
/// hierarchy in `/proc/self/mountinfo`.
fn cgroup_path(kind: HierarchyKind, mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        // Fields of a mount: id, parent, device, root, mount point, options … - type, source, options.
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (system, options) = (after.next()?, after.nth(1)?);
        let has = |name| options.split(',').any(|option| option == name);
        let matches = match kind {
            HierarchyKind::Unified => system == "cgroup2",
            HierarchyKind::Memory => system == "cgroup" && has("memory"),
            HierarchyKind::Cpu => system == "cgroup" && has("cpu"),
        };

        let mut before = before.split(' ').skip(3);
        let (root, mount_point) = (before.next()?, before.next()?);
        matches.then_some((root, mount_point))
    })?;

    let path = own.lines().find_map(|line| {
        // Each line is `id:controllers:path`; version 2 has no controllers.
        let mut words = line.splitn(3, ':').skip(1);
        let (controllers, path) = (words.next()?, words.next()?);
        let has = |name| controllers.split(',').any(|controller| controller == name);
        let matches = match kind {
            HierarchyKind::Unified => controllers.is_empty(),
            HierarchyKind::Memory => has("memory"),
            HierarchyKind::Cpu => has("cpu"),
        };
        matches.then_some(path)
    })?;

    let (root, mount_point) = mount;
    // In a container, only the part of the hierarchy below `root` is mounted.
    let below = path.strip_prefix(root.trim_end_matches('/'))?;
    Some(Path::new(mount_point).join(below.trim_start_matches('/')))
}

fn write(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = group.join(file);
    fs::write(&path, text)
        .map_err(|error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display())))
}

const PREFIX: &str = "assemble-";
const MEBIBYTE: u64 = 1024 * 1024;
/// The period of CPU quotas, in µs.
const PERIOD_MICROS: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn finds_its_own_cgroup_in_every_hierarchy() {
        let own = "4:memory:/docker/ab/x\n1:cpu,cpuacct:/\n0::/user.slice/a b.scope";
        let found = |kind| cgroup_path(kind, MOUNTS, own).map(|path| path.display().to_string());
        let is = |kind, path: &str| assert_eq!(found(kind).as_deref(), Some(path));
        // The memory hierarchy is mounted from /docker/ab on, as in a container.
        is(HierarchyKind::Memory, "/sys/fs/cgroup/memory/x");
        is(HierarchyKind::Cpu, "/sys/fs/cgroup/cpu,cpuacct/");
        is(
            HierarchyKind::Unified,
            "/sys/fs/cgroup/unified/user.slice/a b.scope",
        );
        // A cgroup outside of the mounted part, and no mount at all.
        assert_eq!(
            cgroup_path(HierarchyKind::Memory, MOUNTS, "4:memory:/other"),
            None
        );
        assert_eq!(cgroup_path(HierarchyKind::Memory, "", own), None);
    }
}
