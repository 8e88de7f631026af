//! User namespaces with a full range of ids, for images that root runs.
//!
//! Programs in an image may expect to be root, to chown files and to change their user. In a user namespace
//! they can, and have no rights outside of it: its ids map to ids that no user of the host has, and the files
//! of the image are chowned to them. Only a process outside of the namespace may write such a map
//! (man 7 user_namespaces): this program, started before the namespace is created.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Gid, Signal, Uid, geteuid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, set_thread_gid, set_thread_groups, set_thread_uid};

use super::capabilities::drop_capabilities;
use super::new_namespace;
use super::root::FULL_ID_RANGE;
use crate::init::own_executable;

/// The verb of the process that writes the maps.
pub(crate) const ID_MAP: &str = "__id-map";

/// The process outside of the namespace that waits to write its maps.
pub(super) struct MapWriter(Child);

/// The first host id of an image's users, far above the ids of people, services and other engines.
const FIRST_ID: u32 = 0x6000_0000;
/// The number of ids of an image; 65535 is the last.
const ID_COUNT: u32 = 0x1_0000;

/// Returns the owner on this host of a file with this owner in an image; `None` is the caller.
///
/// Files that are unpacked with these owners need no further change at the first run.
pub fn image_owner(user: u32, group: u32) -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if !map.contains(FULL_ID_RANGE) {
        return Some((user, group));
    }
    // Ids beyond the range of an image exist nowhere else, so their files belong to its root.
    let map = |id: u32| FIRST_ID + if id < ID_COUNT { id } else { 0 };
    Some((map(user), map(group)))
}

/// Chowns a folder and its content to an image's users, unless that was done; returns the owner of the folder.
///
/// Inside of a user namespace, or for a caller other than root, the owners stay.
pub(crate) fn chown_to_image_users(folder: &Path) -> io::Result<u32> {
    let owner = fs::symlink_metadata(folder)?.uid();
    let map = fs::read_to_string("/proc/self/uid_map")?;
    if owner != 0 || !geteuid().is_root() || !map.contains(FULL_ID_RANGE) {
        return Ok(owner);
    }
    chown_below(folder)?;
    // The folder own_executable comes last: its owner marks the rest as done.
    lchown(folder, Some(FIRST_ID), Some(FIRST_ID))?;
    Ok(FIRST_ID)
}

fn chown_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::symlink_metadata(&path)?;
        if metadata.is_dir() {
            chown_below(&path)?;
        }

        // Ids beyond the range have been mapped already, by a run that was interrupted.
        let map = |id: u32| Some(if id < ID_COUNT { FIRST_ID + id } else { id });
        lchown(&path, map(metadata.uid()), map(metadata.gid()))?;

        // chown clears the set-user-ID and set-group-ID bits (man 2 chown).
        if metadata.is_file() && metadata.mode() & 0o6000 != 0 {
            fs::set_permissions(&path, metadata.permissions())?;
        }
    }

    Ok(())
}

impl MapWriter {
    /// Starts the process. Call it while the files of this program are still visible.
    pub(super) fn spawn(from: u32) -> io::Result<Self> {
        // The pid as `/proc` shows it: the started process reads the same `/proc`.
        let pid = fs::read_link("/proc/self")?;
        let child = Command::new(own_executable()?)
            .arg(ID_MAP)
            .arg(pid)
            .arg(from.to_string())
            .stdin(Stdio::piped())
            .spawn();
        child.map(Self)
    }

    /// Moves this process into a user namespace with a full range of ids, as this user and group.
    pub(super) fn enter(mut self, user: u32, group: u32) -> io::Result<()> {
        new_namespace(UnshareFlags::NEWUSER)?;
        // The end of its stdin signals to the process outside that the namespace exists.
        drop(self.0.stdin.take());
        if !self.0.wait()?.success() {
            return Err(io::Error::other(
                "cannot map a full range of ids into a user namespace",
            ));
        }

        drop_capabilities()?;
        // Groups first: changing the user drops the capability to change groups.
        let group = Gid::from_raw(group);
        set_thread_groups(&[group])?;
        set_thread_gid(group)?;
        set_thread_uid(Uid::from_raw(user))?;

        // A change of credentials clears the parent-death signal (man 2 prctl).
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    }
}

/// Waits for the end of stdin, then writes the maps of the given process.
pub(crate) fn write_id_maps(arguments: &[OsString]) -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    let [process, from] = arguments else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let process = Path::new("/proc").join(process);

    for file in ["uid_map", "gid_map"] {
        let own = fs::read_to_string(Path::new("/proc/self").join(file))?;
        // If root owns the files of the image, it keeps all ids that exist here.
        let map = match from.to_str() {
            Some("0") => identity_map(&own),
            from => format!("0 {} {ID_COUNT}", from.unwrap_or_default()),
        };
        fs::write(process.join(file), map)?;
    }

    Ok(())
}

/// Returns a map in which every id of the given one keeps its number. The fields are inside, outside, count.
fn identity_map(map: &str) -> String {
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
    fn an_identity_map_keeps_all_ids() {
        let map = "         0     100000      65536\n     70000          5          1\n";
        assert_eq!(identity_map(map), "0 0 65536\n70000 70000 1\n");
    }
}
