//! Nobody here can build for macOS, and Linux takes whatever Linux has: so what is compiled everywhere is read
//! for the names of what is only there.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Compiled on Linux alone: `portable` has something in their place, or in the place of who declares them.
const LINUX: &[&str] = &[
    "task-runner/src/enter.rs",
    "task-runner/src/groups.rs",
    "task-runner/src/launch/place.rs",
    "task-runner/src/offspring.rs",
    "task-runner/src/sandbox.rs",
    "task-runner/src/sandbox/identities.rs",
    "task-runner/src/sandbox/keeper.rs",
    "task-runner/src/sandbox/loopback.rs",
    "task-runner/src/sandbox/mounts.rs",
    "task-runner/src/sandbox/place.rs",
    "task-runner/src/sandbox/rights.rs",
    "task-runner/src/sandbox/root.rs",
    "task-runner/src/sandbox/wall.rs",
    "task-runner/src/system.rs",
];

/// What macOS does not have, and what to look at instead.
const MISSING: &[(&str, &str)] = &[
    ("pidfd", "`offspring` signals processes"),
    ("prctl", "`offspring` knows of parents"),
    ("subreaper", "`offspring` knows of orphans"),
    ("death_signal", "`offspring` knows of parents"),
    ("rustix::mount", "mounts are the sandbox's"),
    ("pivot_root", "mounts are the sandbox's"),
    ("unshare", "namespaces are the sandbox's"),
    ("move_into_link_name_space", "namespaces are the sandbox's"),
    ("\"/proc", "`system` tells of processes"),
    ("\"/sys/", "control groups are those of `groups`"),
    ("/dev/shm", "use a folder for temporary files"),
    ("os::linux", "`os::unix` has what both have"),
    ("from_abstract_name", "sockets have paths"),
    (
        "CLOEXEC",
        "flags of sockets are not there; the standard library sets it",
    ),
    ("SendFlags::NOSIGNAL", "the standard library sees to it"),
    ("NETLINK", "networks are the sandbox's"),
    ("socket_with", "the standard library makes sockets"),
    ("accept_with", "the standard library accepts"),
    ("pipe_with", "the standard library makes pipes"),
    ("epoll", "tokio waits"),
    ("eventfd", "tokio wakes"),
    ("signalfd", "tokio hears signals"),
    ("timerfd", "tokio has clocks"),
    ("inotify", "look at files every now and then"),
    ("memfd", "use a temporary file"),
    ("clone3", "start processes with `Command`"),
];

#[test]
fn what_is_compiled_everywhere_names_nothing_that_is_only_on_linux() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let own = |file: &Path| file.strip_prefix(root).unwrap().display().to_string();
    let files = sources(root);
    let linux: Vec<_> = (files.iter().map(|file| own(file)))
        .filter(|file| LINUX.contains(&file.as_str()))
        .collect();

    assert_eq!(linux.len(), LINUX.len(), "only these are there: {linux:?}");
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !LINUX.contains(&&*own(file))) {
        let text = fs::read_to_string(file).unwrap();
        for (index, line) in text.lines().enumerate() {
            // Comments may name it.
            let code = line.split("//").next().unwrap_or_default();
            let missing = MISSING.iter().filter(|(word, _)| code.contains(word));
            let place = format!("{}:{}", own(file), index + 1);
            found.extend(missing.map(|(word, instead)| format!("{place}: `{word}`: {instead}")));
        }
    }

    assert!(found.is_empty(), "not on macOS:\n{}", found.join("\n"));
}

/// All Rust of the packages in a folder, without their tests.
fn sources(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| fs::read_dir(folder).unwrap().map(|one| one.unwrap().path());
    let packages = entries(root).map(|package| package.join("src"));
    let mut folders: Vec<_> = packages.filter(|folder| folder.is_dir()).collect();
    let mut found = Vec::new();

    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push(path);
            }
        }
    }

    found
}
