//! What the kernel tells of the processes of this machine, from `/proc`.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// Between two looks at what everybody holds.
pub(crate) const LOOK: Duration = Duration::from_millis(200);

/// One process at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The time that it, and the children it has buried, spent on a processor.
    pub(crate) spent: Duration,
    /// The bytes it holds, shared ones too.
    pub(crate) resident: u64,
}

/// An interface of a network, and what went over it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Bytes, packets, errors and drops, received and then sent.
    pub(crate) counts: Vec<u64>,
}

/// This program's own file, to start it again: also when another one has taken its place meanwhile.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it can be unknown")]
pub(crate) fn itself() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Every process there is.
pub(crate) fn look() -> Vec<Seen> {
    processes().filter_map(seen).collect()
}

/// Words 4, 14 to 17 and 24 of `/proc/<pid>/stat`. The second is the name, in brackets, spaces and all.
fn seen(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let words: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = words
        .get(11..15)?
        .iter()
        .filter_map(|word| word.parse::<u64>().ok());
    let pages: u64 = words.get(21)?.parse().ok()?;

    Some(Seen {
        pid: u32::try_from(pid).ok()?,
        parent: words.get(1)?.parse().ok()?,
        spent: time(ticks.sum()),
        resident: pages * u64::try_from(page_size()).unwrap_or_default(),
    })
}

/// Bytes that processes hold, what is shared divided among those who share it; slower to read.
#[expect(clippy::unnecessary_wraps, reason = "elsewhere nobody knows")]
pub(crate) fn proportional(pids: &[u32]) -> Option<u64> {
    let of = |pid: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(pids.iter().filter_map(of).sum::<u64>() * 1024)
}

/// The time that all processors of the machine have counted: the first line of `/proc/stat`.
pub(crate) fn machine_time() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let ticks = first
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok());
    time(ticks.sum())
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
}

/// What went over the interfaces of a process's network; none where that is this
/// machine's, or nobody may know.
pub(crate) fn interfaces(pid: u32) -> Vec<Interface> {
    let network = |whose: &str| fs::read_link(format!("/proc/{whose}/ns/net")).ok();
    let whose = pid.to_string();
    let is_own = network(&whose).is_some_and(|its| network("self").is_some_and(|own| own != its));
    if !is_own {
        return Vec::new();
    }
    let table = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    table.lines().filter_map(interface).collect()
}

/// `lo: 1 2 3 …`: bytes, packets, errors and drops received and four more, then the same of what was sent.
fn interface(line: &str) -> Option<Interface> {
    let (name, counts) = line.split_once(':')?;
    let counts: Vec<u64> = (counts.split_whitespace())
        .filter_map(|word| word.parse().ok())
        .collect();
    let (received, sent) = (counts.get(..4)?, counts.get(8..12)?);
    Some(Interface {
        name: name.trim().to_owned(),
        counts: [received, sent].concat(),
    })
}

/// Bit 15 of the signals a process catches; nobody knows for one that is gone.
pub(crate) fn hears_sigterm(pid: u32) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    let mask = u64::from_str_radix(caught.trim(), 16).ok()?;
    Some(mask & (1 << 14) != 0)
}

/// The numbers of all processes.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Who listens on a TCP port of this machine's IPv4: a process and its name. Nobody is known where that is
/// somebody else's.
pub fn listener(port: u16) -> Option<(u32, String)> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let sockets: Vec<String> = (table.lines())
        .filter_map(|line| socket_listening(line, port))
        .collect();
    let holds = |pid: &i32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut open = open
            .flatten()
            .filter_map(|one| fs::read_link(one.path()).ok());
        open.any(|link| sockets.iter().any(|socket| link.as_os_str() == &**socket))
    };

    let pid = processes().find(holds)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((u32::try_from(pid).ok()?, name.trim_end().to_owned()))
}

/// `socket:[inode]` of a line of `/proc/net/tcp` whose socket listens on the port (man 5 proc).
fn socket_listening(line: &str, port: u16) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    let (_, own) = local.rsplit_once(':')?;
    let listens = *state == "0A" && u16::from_str_radix(own, 16) == Ok(port);
    listens.then(|| format!("socket:[{inode}]"))
}

/// This process's number as `/proc` shows it, which may be that of another namespace than its own.
pub(crate) fn own_number() -> io::Result<String> {
    Ok(fs::read_link("/proc/self")?.display().to_string())
}

/// The number of this process's parent, by the same count: in a namespace of its own a process cannot ask for
/// its parent, but it can read of it.
pub(crate) fn parent() -> Option<String> {
    parent_of("self").map(|pid| pid.to_string())
}

/// The fourth word of `/proc/<pid>/stat`; the second is the name, in brackets, spaces and all.
pub(crate) fn parent_of(pid: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_told_with_what_it_received_and_sent() {
        let line = "    lo:    1308      14    1    2    0     0          0         0     1309      15    3    4    0     0       0          0";
        let found = interface(line).unwrap();
        assert_eq!(found.name, "lo");
        assert_eq!(found.counts, [1308, 14, 1, 2, 1309, 15, 3, 4]);
        assert_eq!(interface(" face |bytes    packets errs drop"), None);
        assert_eq!(interfaces(std::process::id()), []);
    }

    #[test]
    fn who_listens_on_a_port_is_known() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        let (pid, name) = listener(port).unwrap();
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        drop(listening);
        assert_eq!(listener(port), None);
    }
}
