//! A user namespace in which everybody exists, for an image that root runs.
//!
//! What is in an image may expect to be root, to give files away and to become somebody else. In a namespace of
//! its own it can, and is nobody outside of the task: its users are numbers there that no user of the machine
//! has, and the files of the image are given to them. Only a process outside of it may say that
//! everybody exists there (man 7 user_namespaces): this program again, which is started before and waits.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Gid, Signal, Uid, geteuid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, set_thread_gid, set_thread_groups, set_thread_uid};

use super::new_namespace;
use super::rights::give_up;
use super::root::EVERYBODY;
use crate::init::itself;

/// The verb of the process outside.
pub(crate) const IDENTITIES: &str = "__identities";

/// The process outside, which waits.
pub(super) struct Outside(Child);

/// The first of the numbers that stand for an image's users outside: far from those that people, services and
/// other engines are given.
const FIRST: u32 = 0x6000_0000;
/// As many as an image may have: user 65535 is the last.
const COUNT: u32 = 0x1_0000;

/// Gives a folder, and all that is in it, to an image's users, where that has not been done; answers who is root
/// of it. Whose own root is not the machine's anyway keeps the numbers.
pub(crate) fn give_to_image(folder: &Path) -> io::Result<u32> {
    let owner = fs::symlink_metadata(folder)?.uid();
    let map = fs::read_to_string("/proc/self/uid_map")?;
    if owner != 0 || !geteuid().is_root() || !map.contains(EVERYBODY) {
        return Ok(owner);
    }
    give_below(folder)?;
    // Last: it says that all else is done.
    lchown(folder, Some(FIRST), Some(FIRST))?;
    Ok(FIRST)
}

fn give_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() {
            give_below(&path)?;
        }

        let there = |id: u32| Some(if id < COUNT { FIRST + id } else { id });
        lchown(&path, there(about.uid()), there(about.gid()))?;

        // The kernel takes these bits away with the owner (man 2 chown).
        if about.is_file() && about.mode() & 0o6000 != 0 {
            fs::set_permissions(&path, about.permissions())?;
        }
    }

    Ok(())
}

impl Outside {
    /// Starts it, while this process still sees the files it was started from.
    pub(super) fn begin(from: u32) -> io::Result<Self> {
        // As whoever mounted `/proc` calls this process: the one outside reads the same `/proc`.
        let number = fs::read_link("/proc/self")?;
        let child = Command::new(itself()?)
            .arg(IDENTITIES)
            .arg(number)
            .arg(from.to_string())
            .stdin(Stdio::piped())
            .spawn();
        child.map(Self)
    }

    /// Moves this process into a namespace with everybody, as this user and group of it.
    pub(super) fn enter(mut self, user: u32, group: u32) -> io::Result<()> {
        new_namespace(UnshareFlags::NEWUSER)?;
        drop(self.0.stdin.take());
        if !self.0.wait()?.success() {
            return Err(io::Error::other("no user namespace with everybody in it"));
        }

        give_up()?;
        let group = Gid::from_raw(group);
        set_thread_groups(&[group])?;
        set_thread_gid(group)?;
        set_thread_uid(Uid::from_raw(user))?;

        // Who becomes somebody else is not watched any more (man 2 prctl).
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    }
}

/// What the process outside does: once it is told, by the end of its input, it lets everybody whom it knows
/// exist in the namespace of the process named.
pub(crate) fn admit_everybody(words: &[OsString]) -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    let [process, from] = words else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let process = Path::new("/proc").join(process);

    for file in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(Path::new("/proc/self").join(file))?;
        let map = match from.to_str() {
            Some("0") => as_they_are(&own),
            from => format!("0 {} {COUNT}", from.unwrap_or_default()),
        };
        fs::write(process.join(file), map)?;
    }

    Ok(())
}

/// A map in which all who are in this one keep their numbers: inside, outside, count.
fn as_they_are(map: &str) -> String {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (first, count) = (words.next()?, words.nth(1)?);
        Some(format!("{first} {first} {count}\n"))
    };
    map.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_keeps_his_number() {
        let map = "         0     100000      65536\n     70000          5          1\n";
        assert_eq!(as_they_are(map), "0 0 65536\n70000 70000 1\n");
    }
}
