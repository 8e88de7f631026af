//! The memory limit of this process's container.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// Returns the memory limit of the container in bytes; `None` without one, or outside of a container.
///
/// It is the smallest limit of the process's cgroup and the visible ones above it: `memory.max` in version 2,
/// `memory.limit_in_bytes` in version 1 (kernel documentation, "Control Group v2", "Memory Resource Controller").
pub fn container_memory() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    smallest_limit(Path::new("/sys/fs/cgroup"), &own)
}

/// Returns the smallest limit of the cgroups in `own`, the text of `/proc/self/cgroup`.
fn smallest_limit(root: &Path, own: &str) -> Option<u64> {
    own.lines()
        .filter_map(|line| limit_of(root, line))
        .filter(|limit| *limit < UNLIMITED)
        .min()
}

fn limit_of(root: &Path, line: &str) -> Option<u64> {
    // `hierarchy:controllers:path`; version 2 has no controllers (cgroups(7)).
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let (mount, file) = if controllers.is_empty() {
        (root.to_owned(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (root.join("memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };

    // A container without a cgroup namespace sees the host's path, of which only the mount exists here.
    let normal = |part: &Component<'_>| matches!(part, Component::Normal(_));
    let path: PathBuf = Path::new(path).components().filter(normal).collect();
    path.ancestors()
        .filter_map(|folder| fs::read_to_string(mount.join(folder).join(file)).ok())
        // `max` is no number: no limit.
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

/// Version 1 reports "no limit" as the largest multiple of a page.
const UNLIMITED: u64 = 1 << 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn reads_the_smallest_limit_of_version_2() {
        let root = cgroups(&[
            ("task/memory.max", "536870912\n"),
            ("task/app/memory.max", "max\n"),
        ]);
        assert_eq!(
            smallest_limit(root.path(), "0::/task/app\n"),
            Some(512 << 20)
        );
        assert_eq!(smallest_limit(root.path(), "0::/other\n"), None);
    }

    #[test]
    fn reads_the_limit_of_version_1() {
        let root = cgroups(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/task/memory.limit_in_bytes", "67108864\n"),
        ]);
        let own = "5:cpu,cpuacct:/task\n3:memory:/task\n0::/\n";
        assert_eq!(smallest_limit(root.path(), own), Some(64 << 20));
        assert_eq!(smallest_limit(root.path(), "3:memory:/\n"), None);
    }

    #[test]
    fn reads_the_mount_of_a_container_without_a_namespace() {
        let root = cgroups(&[("memory/memory.limit_in_bytes", "67108864\n")]);
        let own = "3:memory:/ecs/0123/4567\n";
        assert_eq!(smallest_limit(root.path(), own), Some(64 << 20));
        assert_eq!(
            smallest_limit(root.path(), "3:memory:/../..\n"),
            Some(64 << 20)
        );
    }
}
