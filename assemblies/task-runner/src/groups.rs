//! Control groups: what a task and its containers may hold and use, kept by the kernel as on Fargate.
//!
//! The task gets a group with its `memory` and its `cpu`, each container one below it with its own `memory` as a
//! hard limit and its `cpu` as a share. Both versions of the kernel's interface are spoken (Linux, "Control
//! Group v2" and "Control Groups version 1"), where this process may make groups below its own. Inits put
//! themselves in before anything else, so all that a container starts is held.

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

/// The groups of one task; they go when this does.
pub struct Groups {
    trees: Vec<Tree>,
    containers: Vec<String>,
}

/// A group of the task in one hierarchy, with a group for each container below it.
#[derive(Debug)]
struct Tree {
    kind: Kind,
    task: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Version 2: one hierarchy for all.
    Unified,
    /// Version 1: one for each controller.
    Memory,
    Cpu,
}

impl Groups {
    /// Makes the groups of a task.
    ///
    /// # Errors
    ///
    /// This machine has no control groups for memory that this process may make groups in.
    pub fn open(definition: &TaskDefinition) -> io::Result<Self> {
        static TASKS: AtomicU32 = AtomicU32::new(0);

        let number = TASKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let containers = &definition.container_definitions;
        let mut groups = Self {
            trees: Vec::new(),
            containers: containers.iter().map(|one| one.name.clone()).collect(),
        };

        for (kind, own) in hierarchies()? {
            sweep(&own);
            let task = own.join(&name);
            fs::create_dir(&task)?;
            // Taken in before anything else can fail, so that it goes again.
            groups.trees.push(Tree { kind, task });
        }

        for tree in &groups.trees {
            tree.hold_task(definition)?;
            for container in containers {
                let group = tree.task.join(&container.name);
                fs::create_dir(&group)?;
                let cpu = container.cpu.map_or(0, u64::from);
                tree.hold(&group, container.memory, cpu)?;
            }
        }

        if groups.trees.iter().any(|tree| tree.kind != Kind::Cpu) {
            Ok(groups)
        } else {
            Err(io::Error::other("no control group for memory"))
        }
    }

    /// Whether `cpu` is held, too.
    pub fn hold_cpu(&self) -> bool {
        self.trees.iter().any(|tree| tree.kind != Kind::Memory)
    }

    /// The files that a container's processes write themselves into.
    pub(crate) fn of(&self, container: &str) -> Vec<PathBuf> {
        let file = |tree: &Tree| tree.task.join(container).join("cgroup.procs");
        self.trees.iter().map(file).collect()
    }

    /// How many processes of a container the kernel has killed because it, or the task, held too much.
    pub(crate) fn killed(&self, container: &str) -> u64 {
        let of = |tree: &Tree| {
            let file = match tree.kind {
                Kind::Unified => "memory.events",
                Kind::Memory => "memory.oom_control",
                Kind::Cpu => return None,
            };

            let text = fs::read_to_string(tree.task.join(container).join(file)).ok()?;
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        self.trees.iter().filter_map(of).sum()
    }
}

impl Tree {
    /// The task's own limits: `memory` in MiB, `cpu` in 1/1024 of a processor.
    fn hold_task(&self, definition: &TaskDefinition) -> io::Result<()> {
        let memory = definition.memory.as_deref().and_then(parse_memory);
        let memory = memory.map(|count| u64::from(count) * MEBIBYTE);
        let quota = definition.cpu.as_deref().and_then(parse_cpu);
        let quota = quota.map(|cpu| u64::from(cpu) * PERIOD / 1024);
        let task = &self.task;

        match self.kind {
            Kind::Unified => {
                for controller in ["+memory", "+cpu"] {
                    write(task, "cgroup.subtree_control", controller)?;
                }
                if let Some(quota) = quota {
                    write(task, "cpu.max", &format!("{quota} {PERIOD}"))?;
                }
            }
            Kind::Memory => {
                // Without it a limit would not count what is below; newer kernels know nothing else.
                let _ = write(task, "memory.use_hierarchy", "1");
            }
            Kind::Cpu => {
                if let Some(quota) = quota {
                    write(task, "cpu.cfs_period_us", &PERIOD.to_string())?;
                    write(task, "cpu.cfs_quota_us", &quota.to_string())?;
                }
            }
        }

        memory.map_or(Ok(()), |bytes| self.hold_memory(task, bytes))
    }

    /// A container's limits: `memory` in MiB, and `cpu` as its share where others want the processor, too.
    fn hold(&self, group: &Path, memory: Option<u32>, cpu: u64) -> io::Result<()> {
        // As Docker's agent has it: a container that asks for nothing has the least there is.
        let shares = cpu.clamp(2, 262_144);
        match self.kind {
            Kind::Unified => {
                let weight = 1 + (shares - 2) * 9999 / 262_142;
                write(group, "cpu.weight", &weight.to_string())?;
            }
            Kind::Cpu => write(group, "cpu.shares", &shares.to_string())?,
            Kind::Memory => {}
        }

        let bytes = memory.map(|count| u64::from(count) * MEBIBYTE);
        bytes.map_or(Ok(()), |bytes| self.hold_memory(group, bytes))
    }

    /// Fargate has no swap: what counts is memory, and with swap it may not be more.
    fn hold_memory(&self, group: &Path, bytes: u64) -> io::Result<()> {
        match self.kind {
            Kind::Unified => {
                write(group, "memory.max", &bytes.to_string())?;
                let _ = write(group, "memory.swap.max", "0");
                Ok(())
            }
            Kind::Memory => {
                write(group, "memory.limit_in_bytes", &bytes.to_string())?;
                let _ = write(group, "memory.memsw.limit_in_bytes", &bytes.to_string());
                Ok(())
            }
            Kind::Cpu => Ok(()),
        }
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for tree in &self.trees {
            let below = self.containers.iter().map(|name| tree.task.join(name));
            for group in below.chain([tree.task.clone()]) {
                remove(&group);
            }
        }
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.trees).finish()
    }
}

/// A group can go once the last of its dead is buried, which the kernel does a moment later.
fn remove(group: &Path) {
    for _ in 0..50 {
        match fs::remove_dir(group) {
            Err(why) if why.kind() == io::ErrorKind::ResourceBusy => {
                thread::sleep(Duration::from_millis(2));
            }
            _ => return,
        }
    }
}

/// Removes what runners left that were killed: the groups of processes that are no more.
fn sweep(own: &Path) {
    let entries = fs::read_dir(own).into_iter().flatten().flatten();
    for group in entries.map(|entry| entry.path()) {
        let name = group.file_name().and_then(|name| name.to_str());
        let owner = name
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next())
            .and_then(|pid| Pid::from_raw(pid.parse().ok()?));

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

/// This process's own group in each hierarchy that can hold memory or processors.
fn hierarchies() -> io::Result<Vec<(Kind, PathBuf)>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let found: Vec<_> = [Kind::Unified, Kind::Memory, Kind::Cpu]
        .into_iter()
        .filter_map(|kind| Some((kind, place(kind, &mounts, &own)?)))
        .filter(|(kind, own)| *kind != Kind::Unified || holds_all(own))
        .collect();

    if found.is_empty() {
        return Err(io::Error::other(
            "no control groups for memory and cpu are mounted",
        ));
    }

    // Where version 2 holds everything, what is mounted of version 1 holds nothing.
    let unified = found.iter().any(|(kind, _)| *kind == Kind::Unified);
    let wanted = |kind: Kind| (kind == Kind::Unified) == unified;
    Ok(found
        .into_iter()
        .filter(|(kind, _)| wanted(*kind))
        .collect())
}

fn holds_all(own: &Path) -> bool {
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let has = |wanted| controllers.split_whitespace().any(|one| one == wanted);
    has("memory") && has("cpu") && may_divide(own)
}

/// Controllers go to the groups below only from a group that has no process of its own, or the first one.
fn may_divide(own: &Path) -> bool {
    let given = fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default();
    let has = |wanted| given.split_whitespace().any(|one| one == wanted);
    (has("memory") && has("cpu"))
        || (write(own, "cgroup.subtree_control", "+memory").is_ok()
            && write(own, "cgroup.subtree_control", "+cpu").is_ok())
}

/// Where the group stands that `/proc/self/cgroup` names, below where `/proc/self/mountinfo` says that its
/// hierarchy is.
fn place(kind: Kind, mounts: &str, own: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (system, options) = (after.next()?, after.nth(1)?);
        let has = |wanted| options.split(',').any(|one| one == wanted);
        let right = match kind {
            Kind::Unified => system == "cgroup2",
            Kind::Memory => system == "cgroup" && has("memory"),
            Kind::Cpu => system == "cgroup" && has("cpu"),
        };

        let mut before = before.split(' ').skip(3);
        let (root, place) = (before.next()?, before.next()?);
        right.then_some((root, place))
    })?;

    let path = own.lines().find_map(|line| {
        let mut words = line.splitn(3, ':').skip(1);
        let (controllers, path) = (words.next()?, words.next()?);
        let has = |wanted| controllers.split(',').any(|one| one == wanted);
        let right = match kind {
            Kind::Unified => controllers.is_empty(),
            Kind::Memory => has("memory"),
            Kind::Cpu => has("cpu"),
        };
        right.then_some(path)
    })?;

    let (root, place) = mount;
    // Of a hierarchy that is mounted from its middle on, only what is below is seen.
    let below = path.strip_prefix(root.trim_end_matches('/'))?;
    Some(Path::new(place).join(below.trim_start_matches('/')))
}

fn write(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = group.join(file);
    fs::write(&path, text)
        .map_err(|why| io::Error::new(why.kind(), format!("`{}`: {why}", path.display())))
}

const PREFIX: &str = "assemble-";
const MEBIBYTE: u64 = 1024 * 1024;
/// The time a share of a processor is counted in, in µs.
const PERIOD: u64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 /docker/ab /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn finds_its_own_group_in_every_hierarchy() {
        let own = "4:memory:/docker/ab/x\n1:cpu,cpuacct:/\n0::/user.slice/a b.scope";
        let found = |kind| place(kind, MOUNTS, own).map(|path| path.display().to_string());
        let is = |kind, path: &str| assert_eq!(found(kind).as_deref(), Some(path));
        is(Kind::Memory, "/sys/fs/cgroup/memory/x");
        is(Kind::Cpu, "/sys/fs/cgroup/cpu,cpuacct/");
        is(Kind::Unified, "/sys/fs/cgroup/unified/user.slice/a b.scope");
        assert_eq!(place(Kind::Memory, MOUNTS, "4:memory:/other"), None);
        assert_eq!(place(Kind::Memory, "", own), None);
    }
}
