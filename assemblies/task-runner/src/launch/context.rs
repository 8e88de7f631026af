//! The process context of a container: which parts of its definition this host can provide, and how.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use task_definition::{ContainerDefinition, MountPoint};

use crate::sandbox::{
    Bind, ExecContext, ImageRoot, Mounts, Overlay, ProcessContext, Tmpfs, UserMap,
};
use crate::{Image, Program, RunPlan};

/// Returns the context of a container's first process.
pub(super) fn for_container(
    plan: &RunPlan,
    container: &ContainerDefinition,
    program: &Program,
) -> ProcessContext {
    let isolation = plan.sandbox.as_ref().map(|sandbox| sandbox.isolation());
    let shares = isolation.is_some_and(|isolation| isolation.shared_pid_namespace);
    let namespace_holder = plan.sandbox.as_ref().map(|sandbox| sandbox.pid());
    // Without a sandbox there are no mount namespaces, so an image cannot be a root.
    let image = program
        .image
        .as_ref()
        .filter(|_| namespace_holder.is_some());

    ProcessContext {
        namespace_holder,
        own_pid_namespace: !shares && plan.definition.pid_mode.as_deref() != Some("task"),
        pid_namespace_of: namespace_holder.filter(|_| shares),
        // The mounts of an image are made below its root, by `__exec`.
        mounts: namespace_holder.map(|_| match program.image {
            None => mounts(plan, container, program),
            Some(_) => Mounts::default(),
        }),
        cgroups: cgroups(plan, container),
        stop_signal: image.and_then(|image| parse_signal(image.stop_signal.as_deref()?)),
        exec: ExecContext {
            mounts_proc: namespace_holder.is_some(),
            runs_reaper: has_init(container),
            root: image.map(|image| ImageRoot {
                files: image.root.clone(),
                overlay: Overlay::new(&plan.folder, &container.name),
                mounts: mounts(plan, container, program),
            }),
            ..exec_context(plan, container, program)
        },
    }
}

/// Returns the context of a command in a container. Without `first` the container has not started yet.
pub(super) fn for_command(
    plan: &RunPlan,
    container: &ContainerDefinition,
    program: &Program,
    first: Option<u32>,
) -> ProcessContext {
    let namespace_holder = plan.sandbox.as_ref().map(|sandbox| sandbox.pid());
    let first = first.filter(|_| namespace_holder.is_some());
    ProcessContext {
        namespace_holder,
        pid_namespace_of: first,
        cgroups: cgroups(plan, container),
        exec: ExecContext {
            joins_container: first,
            ..exec_context(plan, container, program)
        },
        ..ProcessContext::default()
    }
}

/// Returns the cgroups of a container. Its commands use them too: health checks count against its limits.
fn cgroups(plan: &RunPlan, container: &ContainerDefinition) -> Vec<PathBuf> {
    plan.cgroups
        .as_ref()
        .map_or_else(Vec::new, |cgroups| cgroups.process_files(&container.name))
}

/// Returns true if an init process runs as PID 1 instead of the program.
fn has_init(container: &ContainerDefinition) -> bool {
    let linux = container.linux_parameters.as_ref();
    linux.and_then(|linux| linux.init_process_enabled) == Some(true)
}

fn exec_context(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> ExecContext {
    let open_files = container
        .ulimits
        .iter()
        .find(|limit| limit.name == "nofile");
    // A negative limit means unlimited.
    let number = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let image = program.image.as_ref().filter(|_| plan.sandbox.is_some());
    // Only root may map more than its own id; the owner of the root folder is the image's root user.
    let root = image
        .and_then(|image| fs::metadata(&image.root).ok())
        .filter(|_| geteuid().is_root());

    ExecContext {
        user_map: root.map_or(UserMap::Single, |root| UserMap::All { from: root.uid() }),
        user: (plan.sandbox.is_some())
            .then(|| user(container, program.image.as_ref()))
            .flatten(),
        open_files: open_files.map(|limit| (number(limit.soft_limit), number(limit.hard_limit))),
        folder: program.folder.clone(),
        ..ExecContext::default()
    }
}

/// Returns the user and group of the definition, or of the image.
///
/// Without either it is the caller. For root on this host that means no user namespace; in an image, root
/// always gets one, so that it is root of the image only.
fn user(container: &ContainerDefinition, image: Option<&Image>) -> Option<(u32, u32)> {
    let caller = (geteuid(), getegid());
    let root = image.map_or(Path::new("/"), |image| &image.root);
    let user = (container.user.as_deref())
        .or_else(|| image.and_then(|image| image.user.as_deref()))
        .and_then(|text| parse_user(text, root));
    let needs_user = image.is_some() || !caller.0.is_root();
    user.or_else(|| needs_user.then(|| (caller.0.as_raw(), caller.1.as_raw())))
}

/// Parses `user` or `user:group`, each a number or a name in the files of `root`.
///
/// As in Docker, a user without a group has the group of its passwd entry, or 0 without an entry.
fn parse_user(text: &str, root: &Path) -> Option<(u32, u32)> {
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    let (user, own_group) = match user.parse() {
        Ok(number) => (
            number,
            group_of(&root.join("etc/passwd"), user).unwrap_or(0),
        ),
        Err(_) => {
            ids_by_name(&root.join("etc/passwd"), user).map(|(uid, gid)| (uid, gid.unwrap_or(0)))?
        }
    };

    let group = match group {
        None => own_group,
        Some(group) => group
            .parse()
            .ok()
            .or_else(|| ids_by_name(&root.join("etc/group"), group).map(|(gid, _)| gid))?,
    };

    Some((user, group))
}

/// Returns the group of the user with this number in a passwd file.
fn group_of(file: &Path, user: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(|line| line.split(':'));
    // After the uid, field 3, the next field is the gid.
    lines.find_map(|mut fields| {
        (fields.nth(2) == Some(user))
            .then(|| fields.next())??
            .parse()
            .ok()
    })
}

/// Returns each `user` that does not exist, with its container.
pub(crate) fn unknown_users(plan: &RunPlan) -> Vec<String> {
    // Without a sandbox containers run as the caller, and `user` is not used.
    if plan.sandbox.is_none() {
        return Vec::new();
    }

    let unknown_user = |container: &ContainerDefinition| {
        let image = plan.programs.get(&container.name)?.image.as_ref();
        let user = (container.user.as_deref())
            .or_else(|| image.and_then(|image| image.user.as_deref()))?;
        let root = image.map_or(Path::new("/"), |image| &image.root);

        parse_user(user, root)
            .is_none()
            .then(|| format!("`{user}` of `{}`", container.name))
    };

    let containers = plan.definition.container_definitions.iter();
    containers.filter_map(unknown_user).collect()
}

/// Returns fields 3 and 4 of a name's entry: uid and gid in passwd, gid and members in group.
fn ids_by_name(file: &Path, name: &str) -> Option<(u32, Option<u32>)> {
    let text = fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((
        fields.next()?.parse().ok()?,
        fields.next().and_then(|field| field.parse().ok()),
    ))
}

fn mounts(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Mounts {
    let bind = |mount: &MountPoint, read_only: bool| Bind {
        source: plan.volume(&mount.source_volume),
        target: mount.container_path.clone().into(),
        read_only: read_only || mount.read_only == Some(true),
    };
    let own = (container.mount_points.iter()).map(|mount| bind(mount, false));
    let inherited = container.volumes_from.iter().flat_map(|from| {
        let source = plan.definition.container(&from.source_container);
        let mounts = (source.into_iter()).flat_map(|container| &container.mount_points);
        // Read-only on either side wins.
        mounts.map(move |mount| bind(mount, from.read_only == Some(true)))
    });

    let tmpfs = container
        .linux_parameters
        .iter()
        .flat_map(|linux| &linux.tmpfs);

    Mounts {
        binds: own.chain(inherited).collect(),
        tmpfs: tmpfs
            .map(|tmpfs| Tmpfs {
                target: tmpfs.container_path.clone().into(),
                mebibytes: tmpfs.size,
            })
            .collect(),
        read_only: container.readonly_root_filesystem == Some(true),
        writable_paths: writable_paths(plan, container, program),
        hosts: plan.hosts.clone(),
        scratch: plan.folder.join("scratch"),
    }
}

/// Returns the host paths that the container may write to, or that a volume would hide.
fn writable_paths(
    plan: &RunPlan,
    container: &ContainerDefinition,
    program: &Program,
) -> Vec<PathBuf> {
    let has_image = program.image.is_some();
    let mut paths = Vec::from_iter((!has_image).then(|| program.folder.join(".assemble")));
    let mentioned = plan.writable_paths.get(&container.name);
    paths.extend(mentioned.into_iter().flatten().cloned());

    // A volume mounted above the program or its folder would hide them.
    let is_hidden = |path: &Path| {
        let mut mounts = container.mount_points.iter();
        mounts.any(|mount| path.starts_with(&mount.container_path))
    };
    let needed = [
        program.binary.parent().map(Path::to_owned),
        Some(program.folder.clone()),
    ];
    let needed = needed.into_iter().flatten().filter(|_| !has_image);

    paths.extend(needed.filter(|path| is_hidden(path)));
    paths.retain(|path| path.exists());
    paths.sort();
    paths.dedup();
    paths
}

/// Parses a signal as images write it: `SIGQUIT`, `QUIT` or `3` (man 7 signal; numbers of x86 and ARM).
fn parse_signal(text: &str) -> Option<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let number = SIGNALS
        .iter()
        .find(|(signal, _)| *signal == name)
        .map(|(_, number)| *number)
        .or_else(|| name.parse().ok());
    number.filter(|number| (1..=64).contains(number))
}

const SIGNALS: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ABRT", 6),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("ALRM", 14),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("WINCH", 28),
    ("PWR", 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_users_with_and_without_a_group() {
        assert_eq!(parse_user("65532", Path::new("/")), Some((65532, 0)));
        assert_eq!(
            parse_user("65532:65533", Path::new("/")),
            Some((65532, 65533))
        );
        assert_eq!(parse_user("root", Path::new("/")), Some((0, 0)));
        assert_eq!(parse_user("0:root", Path::new("/")), Some((0, 0)));
        assert_eq!(parse_user("nobody-of-this-name", Path::new("/")), None);
    }

    #[test]
    fn parses_signals_by_name_and_number() {
        // Real-time signals have no fixed number; 0 is no signal.
        let numbers = ["SIGQUIT", "QUIT", "3", "SIGRTMIN", "0"].map(parse_signal);
        assert_eq!(numbers, [Some(3), Some(3), Some(3), None, None]);
    }
}
