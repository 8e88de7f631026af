//! Reads processes, sockets and interfaces of this host from `/proc`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// The time between two measurements of memory and CPU time.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The values of one process at one moment.
#[derive(Debug)]
pub(crate) struct ProcessStat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The CPU time of the process and the children it has reaped.
    pub(crate) cpu_time: Duration,
    /// Resident memory in bytes, including shared pages.
    pub(crate) resident: u64,
}

/// A network interface and its counters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Bytes, packets, errors and drops: received, then sent.
    pub(crate) counts: Vec<u64>,
}

/// Returns the path of this program. It stays valid after the file was replaced on disk.
#[expect(
    clippy::unnecessary_wraps,
    reason = "callers treat it like `std::env::current_exe`"
)]
pub(crate) fn own_executable() -> io::Result<PathBuf> {
    Ok(PathBuf::from("/proc/self/exe"))
}

/// Reads all processes of a `/proc`.
pub(crate) fn snapshot(proc: &Path) -> Vec<ProcessStat> {
    let read = |pid| read_stat(proc, pid);
    processes_in(proc).filter_map(read).collect()
}

/// Returns the `/proc` of a process's own PID namespace, which shows only the processes in it; `None` if it shares
/// that of this process, or has no `/proc`.
pub(crate) fn own_proc(pid: u32) -> Option<PathBuf> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let is_separate = namespace(&pid.to_string())? != namespace("self")?;
    let proc = PathBuf::from(format!("/proc/{pid}/root/proc"));
    (is_separate && proc.join("1/stat").exists()).then_some(proc)
}

/// Reads fields 4, 14 to 17 and 24 of `/proc/<pid>/stat` (man 5 proc).
fn read_stat(proc: &Path, pid: i32) -> Option<ProcessStat> {
    let stat = fs::read_to_string(proc.join(format!("{pid}/stat"))).ok()?;
    // Field 2 is the name in parentheses; it may itself contain spaces and parentheses.
    let (_, after_name) = stat.rsplit_once(')')?;
    let words: Vec<&str> = after_name.split_whitespace().collect();
    // utime, stime, cutime and cstime.
    let ticks = words
        .get(11..15)?
        .iter()
        .filter_map(|word| word.parse::<u64>().ok());
    let pages: u64 = words.get(21)?.parse().ok()?;

    Some(ProcessStat {
        pid: u32::try_from(pid).ok()?,
        parent: words.get(1)?.parse().ok()?,
        cpu_time: duration(ticks.sum()),
        resident: pages * u64::try_from(page_size()).unwrap_or_default(),
    })
}

/// Returns the proportional memory of processes in bytes: shared pages count in parts. Slower than `resident`.
pub(crate) fn proportional(proc: &Path, pids: &[u32]) -> u64 {
    let kibibytes = |pid: &u32| {
        let rollup = fs::read_to_string(proc.join(format!("{pid}/smaps_rollup"))).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    pids.iter().filter_map(kibibytes).sum::<u64>() * 1024
}

/// Returns the CPU time counted by all processors of the host, idle time included (`/proc/stat`).
pub(crate) fn host_cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let ticks = first
        .split_whitespace()
        .filter_map(|word| word.parse::<u64>().ok());
    duration(ticks.sum())
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
}

/// Returns the interfaces of a process's network namespace; empty if it is that of this host or unreadable.
pub(crate) fn interfaces(pid: u32) -> Vec<Interface> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let is_separate = namespace(&pid.to_string())
        .is_some_and(|other| namespace("self").is_some_and(|own| own != other));
    // The host's counters are not the task's: its traffic cannot be separated there.
    if !is_separate {
        return Vec::new();
    }
    let table = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
    table.lines().filter_map(parse_interface).collect()
}

/// Parses a line of `/proc/<pid>/net/dev`: eight counters of received data, then eight of sent data.
fn parse_interface(line: &str) -> Option<Interface> {
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

/// Returns true if a process catches SIGTERM, bit 15 of `SigCgt`; `None` if the process is gone.
pub(crate) fn handles_sigterm(pid: u32) -> Option<bool> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    let mask = u64::from_str_radix(caught.trim(), 16).ok()?;
    // Signal n is bit n - 1.
    Some(mask & (1 << 14) != 0)
}

/// Returns the pids of all processes.
pub(crate) fn processes() -> impl Iterator<Item = i32> {
    processes_in(Path::new(PROC))
}

fn processes_in(proc: &Path) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the process that listens on a TCP port of this host's IPv4, and its name.
///
/// Returns `None` if the process belongs to another user: its descriptors are not readable.
pub fn find_listener(port: u16) -> Option<(u32, String)> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let sockets: Vec<String> = (table.lines())
        .filter_map(|line| socket_listening(line, port))
        .collect();
    let is_listener = |pid: &i32| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|link| sockets.iter().any(|socket| link.as_os_str() == &**socket))
    };

    let pid = processes().find(is_listener)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((u32::try_from(pid).ok()?, name.trim_end().to_owned()))
}

/// Returns `socket:[inode]` if a line of `/proc/net/tcp` is a socket listening on the port (man 5 proc).
fn socket_listening(line: &str, port: u16) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    let (_, own) = local.rsplit_once(':')?;
    // 0A is TCP_LISTEN.
    let listens = *state == "0A" && u16::from_str_radix(own, 16) == Ok(port);
    listens.then(|| format!("socket:[{inode}]"))
}

/// Returns this process's pid as `/proc` shows it, which may belong to another PID namespace.
pub(crate) fn own_pid_in_proc() -> io::Result<String> {
    Ok(fs::read_link("/proc/self")?.display().to_string())
}

/// Returns the pid of this process's parent as `/proc` shows it. `getppid` would return 0 if the parent lives
/// outside of the PID namespace.
pub(crate) fn parent() -> Option<String> {
    parent_of("self").map(|pid| pid.to_string())
}

/// Returns field 4 of `/proc/<pid>/stat`.
pub(crate) fn parent_of(pid: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    // After the name: state, then the parent.
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// The processes of this host.
pub(crate) const PROC: &str = "/proc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_counters_of_an_interface() {
        let line = "    lo:    1308      14    1    2    0     0          0         0     1309      15    3    4    0     0       0          0";
        let found = parse_interface(line).unwrap();
        assert_eq!(found.name, "lo");
        assert_eq!(found.counts, [1308, 14, 1, 2, 1309, 15, 3, 4]);
        // The header of the table.
        assert_eq!(parse_interface(" face |bytes    packets errs drop"), None);
        // This process lives in the host's network.
        assert_eq!(interfaces(std::process::id()), []);
    }

    #[test]
    fn finds_the_process_that_listens_on_a_port() {
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listening.local_addr().unwrap().port();
        let (pid, name) = find_listener(port).unwrap();
        assert_eq!(pid, std::process::id());
        assert!(!name.is_empty());
        drop(listening);
        assert_eq!(find_listener(port), None);
    }
}
