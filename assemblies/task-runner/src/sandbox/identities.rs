//! A user namespace in which everybody exists, for an image that root runs.
//!
//! What is in an image may expect to be root, to give files away and to become somebody else. In a namespace of
//! its own it can, and is nobody special outside of the task. Only a process outside of it may say that
//! everybody exists there (man 7 user_namespaces): this program again, which is started before and waits.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Gid, Signal, Uid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, set_thread_gid, set_thread_groups, set_thread_uid};

use super::new_namespace;
use crate::init::itself;

/// The verb of the process outside.
pub(crate) const IDENTITIES: &str = "__identities";

/// The process outside, which waits.
pub(super) struct Outside(Child);

impl Outside {
    /// Starts it, while this process still sees the files it was started from.
    pub(super) fn begin() -> io::Result<Self> {
        // As whoever mounted `/proc` calls this process: the one outside reads the same `/proc`.
        let number = fs::read_link("/proc/self")?;
        let child = Command::new(itself()?)
            .arg(IDENTITIES)
            .arg(number)
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
    let process = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let process = Path::new("/proc").join(process);
    for file in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(Path::new("/proc/self").join(file))?;
        fs::write(process.join(file), as_they_are(&own))?;
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
