//! What `ps` tells of the processes of this machine: every Unix has it, and says it in the same words.

use std::env;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rustix::process::{getpid, getppid};

/// Between two looks at what everybody holds: a look is a process here, so there are fewer.
pub(crate) const LOOK: Duration = Duration::from_secs(1);

/// One process at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The process group.
    pub(crate) group: u32,
    /// It has ended, and waits to be buried.
    pub(crate) ended: bool,
    /// The time that it spent on a processor.
    pub(crate) spent: Duration,
    /// The bytes it holds, shared ones too.
    pub(crate) resident: u64,
}

/// An interface of a network, and what went over it.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Bytes, packets, errors and drops, received and then sent.
    pub(crate) counts: Vec<u64>,
}

/// This program's own file, to start it again.
pub(crate) fn itself() -> io::Result<PathBuf> {
    env::current_exe()
}

/// Every process there is; none where `ps` cannot be asked.
pub(crate) fn look() -> Vec<Seen> {
    let words = told().unwrap_or_default();
    words.lines().filter_map(seen).collect()
}

/// An empty header goes to the end of its argument, so each word needs one of its own (POSIX, `ps`).
fn told() -> io::Result<String> {
    let mut child = Command::new("/bin/ps")
        .arg("-ax")
        .args(WORDS.iter().flat_map(|word| ["-o", word]))
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;

    let mut said = String::new();
    let read = child
        .stdout
        .take()
        .map(|mut out| out.read_to_string(&mut said));
    let _ = child.wait();

    read.unwrap_or(Ok(0)).map(|_| said)
}

/// `  321   123   321  4096 S+   1-02:03:04`, or `0:00.03` for the time.
fn seen(line: &str) -> Option<Seen> {
    let mut words = line.split_whitespace();
    let mut number = || words.next()?.parse::<u64>().ok();
    let (pid, parent, group, kibibytes) = (number()?, number()?, number()?, number()?);
    let (state, time) = (words.next()?, words.next()?);

    Some(Seen {
        pid: u32::try_from(pid).ok()?,
        parent: u32::try_from(parent).ok()?,
        group: u32::try_from(group).ok()?,
        ended: state.starts_with('Z'),
        spent: duration(time)?,
        resident: kibibytes * 1024,
    })
}

/// `[[days-]hours:]minutes:seconds[.hundredths]`; the minutes may be more than 59.
fn duration(text: &str) -> Option<Duration> {
    let (days, clock) = text.split_once('-').unwrap_or(("0", text));
    let (whole, rest) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut seconds: u64 = 0;
    for part in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    let days: u64 = days.parse().ok()?;
    let seconds = days.checked_mul(86_400)?.checked_add(seconds)?;
    let hundredths: u64 = rest.parse().ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_millis(hundredths.checked_mul(10)?))
}

/// What is shared `ps` does not tell.
pub(crate) fn proportional(_: &[u32]) -> Option<u64> {
    None
}

/// The time that all processors could have worked since this was first asked.
pub(crate) fn machine_time() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let processors = available_parallelism().map_or(1, std::num::NonZero::get);
    let processors = u32::try_from(processors).unwrap_or(1);
    BEGUN.get_or_init(Instant::now).elapsed() * processors
}

/// What went over a network nobody tells; a task has none of its own anyway.
pub(crate) fn interfaces(_: u32) -> Vec<Interface> {
    Vec::new()
}

/// Which signals a process catches nobody tells.
pub(crate) fn hears_sigterm(_: u32) -> Option<bool> {
    None
}

/// Who listens on a port, `ps` does not say.
pub fn listener(_: u16) -> Option<(u32, String)> {
    None
}

/// This process's number.
#[expect(clippy::unnecessary_wraps, reason = "the one of Linux has to read it")]
pub(crate) fn own_number() -> io::Result<String> {
    Ok(getpid().as_raw_nonzero().to_string())
}

/// The number of this process's parent.
pub(crate) fn parent() -> Option<String> {
    Some(getppid()?.as_raw_nonzero().to_string())
}

const WORDS: [&str; 6] = ["pid=", "ppid=", "pgid=", "rss=", "stat=", "time="];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_linux_and_macos_write_it() {
        let linux = seen("    321   123   300  4096 Ssl  00:01:02").unwrap();
        assert_eq!(
            linux,
            Seen {
                pid: 321,
                parent: 123,
                group: 300,
                ended: false,
                spent: Duration::from_secs(62),
                resident: 4096 * 1024,
            }
        );

        let macos = seen("  321     1   321      0 Z+     0:00.03").unwrap();
        assert!(macos.ended);
        assert_eq!(macos.spent, Duration::from_millis(30));
    }

    #[test]
    fn what_is_no_process_is_left_out() {
        for line in [
            "",
            "PID PPID PGID RSS STAT TIME",
            "1 2 3",
            "1 0 1 9 S -",
            "-1 0 1 9 S 0:01",
        ] {
            assert_eq!(seen(line), None, "{line}");
        }
    }

    #[test]
    fn a_time_may_have_days_or_many_minutes() {
        let is = |text, seconds| assert_eq!(duration(text), Some(Duration::from_secs(seconds)));
        is("2-03:04:05", 183_845);
        is("03:04:05", 11_045);
        is("1234:05", 74_045);
        is("0:00", 0);
        assert_eq!(duration("1:23.45"), Some(Duration::from_millis(83_450)));
        assert_eq!(duration("x:00"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_parent() {
        let all = look();
        let own = all.iter().find(|one| one.pid == std::process::id());
        assert_eq!(own.map(|one| one.parent.to_string()), parent());
    }
}
