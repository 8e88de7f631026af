//! Where a container of a definition is to live: what of it this machine can do.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use task_definition::{ContainerDefinition, MountPoint};

use crate::sandbox::{Bind, Last, Layers, Mounts, Others, Place, Root, Tmpfs};
use crate::{Image, Program, RunPlan};

/// A container's own.
pub(super) fn of(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Place {
    let shape = plan.sandbox.as_ref().map(|sandbox| sandbox.shape());
    let shares = shape.is_some_and(|shape| shape.shared_processes);
    let keeper = plan.sandbox.as_ref().map(|sandbox| sandbox.pid());
    let image = program.image.as_ref().filter(|_| keeper.is_some());

    Place {
        keeper,
        alone: !shares && plan.definition.pid_mode.as_deref() != Some("task"),
        processes_of: keeper.filter(|_| shares),
        mounts: keeper.map(|_| match program.image {
            None => mounts(plan, container, program),
            Some(_) => Mounts::default(),
        }),
        groups: groups(plan, container),
        stop_signal: image.and_then(|image| signal(image.stop_signal.as_deref()?)),
        last: Last {
            own_proc: keeper.is_some(),
            init: has_init(container),
            root: image.map(|image| Root {
                files: image.root.clone(),
                layers: Layers::of(&plan.folder, &container.name),
                mounts: mounts(plan, container, program),
            }),
            ..last(plan, container, program)
        },
    }
}

/// A command's beside a container whose first process is known, or that is yet to start.
pub(super) fn beside(
    plan: &RunPlan,
    container: &ContainerDefinition,
    program: &Program,
    first: Option<u32>,
) -> Place {
    let keeper = plan.sandbox.as_ref().map(|sandbox| sandbox.pid());
    let first = first.filter(|_| keeper.is_some());
    Place {
        keeper,
        processes_of: first,
        groups: groups(plan, container),
        last: Last {
            beside: first,
            ..last(plan, container, program)
        },
        ..Place::default()
    }
}

/// What a container's processes may hold and use, they may together: health checks, too.
fn groups(plan: &RunPlan, container: &ContainerDefinition) -> Vec<PathBuf> {
    let groups = plan.groups.as_ref();
    groups.map_or_else(Vec::new, |groups| groups.of(&container.name))
}

/// An init stands before it: it is no PID 1.
fn has_init(container: &ContainerDefinition) -> bool {
    let linux = container.linux_parameters.as_ref();
    linux.and_then(|linux| linux.init_process_enabled) == Some(true)
}

fn last(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Last {
    let files = container
        .ulimits
        .iter()
        .find(|limit| limit.name == "nofile");
    let number = |text: i64| u64::try_from(text).unwrap_or(u64::MAX);
    let image = program.image.as_ref().filter(|_| plan.sandbox.is_some());
    let root = image.and_then(|image| fs::metadata(&image.root).ok());
    let root = root.filter(|_| geteuid().is_root());

    Last {
        others: root.map_or(Others::Nobody, |root| Others::Everybody {
            from: root.uid(),
        }),
        user: (plan.sandbox.is_some())
            .then(|| user(container, program.image.as_ref()))
            .flatten(),
        files: files.map(|limit| (number(limit.soft_limit), number(limit.hard_limit))),
        folder: program.folder.clone(),
        ..Last::default()
    }
}

/// Who the definition says, or the image; where nothing is said, root stays root, but in an image it is root of
/// that only, and others stay who they are.
fn user(container: &ContainerDefinition, image: Option<&Image>) -> Option<(u32, u32)> {
    let (own, own_group) = (geteuid(), getegid());
    let said = container.user.as_deref();
    let said = said.or_else(|| image.and_then(|image| image.user.as_deref()));
    let root = image.map_or(Path::new("/"), |image| &image.root);
    let said = said.and_then(|text| numbers(text, root));
    let is_told = image.is_some() || !own.is_root();
    said.or_else(|| is_told.then(|| (own.as_raw(), own_group.as_raw())))
}

/// `user`, `user:group`, each a number or a name of whose root it is; a user without a group has its own, or 0
/// where nobody is listed by its number.
fn numbers(text: &str, root: &Path) -> Option<(u32, u32)> {
    let (user, group) = text
        .split_once(':')
        .map_or((text, None), |(user, group)| (user, Some(group)));
    let (user, own_group) = match user.parse() {
        Ok(number) => (
            number,
            group_of(&root.join("etc/passwd"), user).unwrap_or(0),
        ),
        Err(_) => {
            of_name(&root.join("etc/passwd"), user).map(|words| (words.0, words.1.unwrap_or(0)))?
        }
    };

    let group = match group {
        None => own_group,
        Some(group) => group
            .parse()
            .ok()
            .or_else(|| of_name(&root.join("etc/group"), group).map(|words| words.0))?,
    };

    Some((user, group))
}

/// The group of the user with this number.
fn group_of(file: &Path, user: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines().map(|line| line.split(':'));
    lines.find_map(|mut words| {
        (words.nth(2) == Some(user))
            .then(|| words.next())??
            .parse()
            .ok()
    })
}

/// The containers whose `user` is nobody, each with that.
pub(crate) fn strangers(plan: &RunPlan) -> Vec<String> {
    let containers = plan.definition.container_definitions.iter();
    let stranger = |one: &ContainerDefinition| {
        let image = plan.programs.get(&one.name)?.image.as_ref();
        let said = one.user.as_deref();
        let said = said.or_else(|| image.and_then(|image| image.user.as_deref()))?;
        let root = image.map_or(Path::new("/"), |image| &image.root);

        numbers(said, root)
            .is_none()
            .then(|| format!("`{said}` of `{}`", one.name))
    };

    let sandboxed = plan.sandbox.is_some();
    containers
        .filter(|_| sandboxed)
        .filter_map(stranger)
        .collect()
}

/// The third and the fourth word of a name's line.
fn of_name(file: &Path, name: &str) -> Option<(u32, Option<u32>)> {
    let text = fs::read_to_string(file).ok()?;
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut words = line.split(':').skip(2);
    Some((
        words.next()?.parse().ok()?,
        words.next().and_then(|word| word.parse().ok()),
    ))
}

fn mounts(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Mounts {
    let own = program.image.is_none();
    let mut kept = Vec::from_iter(own.then(|| program.folder.join(".assemble")));
    kept.extend(
        plan.kept
            .get(&container.name)
            .into_iter()
            .flatten()
            .cloned(),
    );

    let read_only = container.readonly_root_filesystem == Some(true);
    // Below a volume, the program and the folder it runs in would be covered.
    let below = |path: &Path| {
        container
            .mount_points
            .iter()
            .any(|mount| path.starts_with(&mount.container_path))
    };

    let needed = [
        program.binary.parent().map(Path::to_owned),
        Some(program.folder.clone()),
    ];
    let needed = needed.into_iter().flatten().filter(|_| own);

    kept.extend(needed.filter(|path| below(path)));
    kept.retain(|path| path.exists());
    kept.sort();
    kept.dedup();

    let bind = |mount: &MountPoint, read_only: bool| Bind {
        source: plan.volume(&mount.source_volume),
        target: mount.container_path.clone().into(),
        read_only: read_only || mount.read_only == Some(true),
    };
    let own = container.mount_points.iter();
    let own = own.map(|mount| bind(mount, false));
    let taken = container.volumes_from.iter().flat_map(|from| {
        let source = plan.definition.container(&from.source_container);
        let mounts = source.into_iter().flat_map(|one| &one.mount_points);
        mounts.map(move |mount| bind(mount, from.read_only == Some(true)))
    });

    let tmpfs = container
        .linux_parameters
        .iter()
        .flat_map(|linux| &linux.tmpfs);

    Mounts {
        binds: own.chain(taken).collect(),
        tmpfs: tmpfs
            .map(|one| Tmpfs {
                target: one.container_path.clone().into(),
                mebibytes: one.size,
            })
            .collect(),
        read_only,
        kept,
        hosts: plan.hosts.clone(),
        room: plan.folder.join("room"),
    }
}

/// The number of a signal as images write it: `SIGQUIT`, `QUIT` or `3` (man 7 signal, numbers of x86 and ARM).
fn signal(text: &str) -> Option<i32> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let known = SIGNALS.iter().find(|(one, _)| *one == name);
    let number = known
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
    fn a_user_is_a_number_or_a_name_with_or_without_a_group() {
        assert_eq!(numbers("65532", Path::new("/")), Some((65532, 0)));
        assert_eq!(numbers("65532:65533", Path::new("/")), Some((65532, 65533)));
        assert_eq!(numbers("root", Path::new("/")), Some((0, 0)));
        assert_eq!(numbers("0:root", Path::new("/")), Some((0, 0)));
        assert_eq!(numbers("nobody-of-this-name", Path::new("/")), None);
    }

    #[test]
    fn a_signal_is_a_name_or_a_number() {
        let numbers = ["SIGQUIT", "QUIT", "3", "SIGRTMIN", "0"].map(signal);
        assert_eq!(numbers, [Some(3), Some(3), Some(3), None, None]);
    }
}
