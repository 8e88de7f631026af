//! The process between the runner and a container: its init.
//!
//! It is this same program, started again as `<program> __init alone|shared <binary> <argument>…`. Its stdin
//! is a socket to the runner:
//!
//! | runner says | init says |
//! |---|---|
//! | `terminate`: send SIGTERM to the container's first process | `started <pid> alone\|shared` |
//! | `kill`: kill it and everything it started | `exited <code>` |
//! | *end of file*: the runner is gone; as `kill` | |
//!
//! Init adopts every orphan below it (it is a subreaper), so nothing the container started can slip
//! away: when the first process ends, the others are killed, as they are at the end of a PID
//! namespace. A container that is to be `alone` gets such a namespace too, where this machine allows it:
//! then its first process is PID 1, as on Fargate, and hears no SIGTERM that it has no handler for. Between init and the container stands one more start of this program, `__exec`, which
//! asks the kernel to be killed when init is, opens a session of its own, and then becomes the
//! container's program.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getegid, geteuid, getpid, kill_process,
    pidfd_open, pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, setsid,
    wait,
};
use rustix::thread::UnshareFlags;

pub(crate) const INIT: &str = "__init";
const EXEC: &str = "__exec";
const ITSELF: &str = "/proc/self/exe";
const PAUSE: Duration = Duration::from_millis(2);

/// Becomes a container's init when the command line says so; otherwise does nothing.
///
/// Call it first in `main` of every program that calls [`run`](crate::run).
pub fn intercept() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let verb = arguments.next()?;
    let rest: Vec<_> = arguments.collect();
    let failure = match verb.to_str()? {
        INIT => match guard(&rest) {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(failure) => failure,
        },
        EXEC => become_program(&rest),
        _ => return None,
    };
    let _ = writeln!(io::stderr(), "cannot run `{}`: {failure}", rest_of(&rest));
    Some(ExitCode::from(match failure.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }))
}

/// Starts the container's first process and stays until nothing of it is left.
fn guard(words: &[OsString]) -> io::Result<()> {
    let [space, command @ ..] = words else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no program is named",
        ));
    };
    let runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    // Before there are threads: the kernel gives user namespaces to whole processes only.
    let space = match Space::from(space) {
        Space::Alone if may_have_namespaces() => Space::Alone,
        _ => Space::Shared,
    };
    let (begun, first) = mpsc::channel();
    let (orders, command) = (runner.try_clone()?, command.to_vec());
    // The kernel kills the child when the thread that started it ends: it is the one that obeys, to the end.
    thread::spawn(move || match begin(space, &command) {
        Ok((pid, handle, space)) => {
            let _ = begun.send(Ok((pid, space)));
            obey(orders, &handle);
        }
        Err(failure) => drop(begun.send(Err(failure))),
    });
    let (first, space) = first.recv().map_err(io::Error::other)??;
    writeln!(
        &runner,
        "started {} {}",
        first.as_raw_nonzero(),
        space.word()
    )?;
    let code = code(wait_for(first)?);
    kill_the_rest();
    // The runner may be gone; then there is nobody to tell.
    let _ = writeln!(&runner, "exited {code}");
    Ok(())
}

/// Whose processes a container's processes see and can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Its own only: its first process is PID 1.
    Alone,
    /// Those of this machine.
    Shared,
}

impl Space {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Shared => "shared",
        }
    }

    fn from(word: &OsStr) -> Self {
        if word == "alone" {
            Self::Alone
        } else {
            Self::Shared
        }
    }
}

/// Who is not root asks for a user namespace first, in which everybody stays who they are.
fn may_have_namespaces() -> bool {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        return true;
    }
    if new_namespace(UnshareFlags::NEWUSER).is_err() {
        return false;
    }
    let same = |id: u32| format!("{id} {id} 1");
    let groups = fs::write("/proc/self/setgroups", "deny");
    let users = fs::write("/proc/self/uid_map", same(user.as_raw()));
    let mapped = fs::write("/proc/self/gid_map", same(group.as_raw()));
    groups.and(users).and(mapped).is_ok()
}

#[expect(
    deprecated,
    reason = "what takes this function's place is unsafe for the sake of other flags than ours"
)]
fn new_namespace(kind: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(kind)
}

/// Starts the first process: its id, a handle to it, and where it came to live.
fn begin(space: Space, command: &[OsString]) -> io::Result<(Pid, OwnedFd, Space)> {
    let space = match space {
        Space::Alone if new_namespace(UnshareFlags::NEWPID).is_ok() => Space::Alone,
        _ => Space::Shared,
    };
    let child = Command::new(ITSELF)
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .args(command)
        .stdin(Stdio::null())
        .spawn()?;
    let first = Pid::from_child(&child);
    Ok((first, pidfd_open(first, PidfdFlags::empty())?, space))
}

fn obey(orders: UnixStream, first: &OwnedFd) {
    for order in BufReader::new(orders).lines().map_while(Result::ok) {
        match order.as_str() {
            // It may have just ended: then there is nothing left to signal.
            "terminate" => drop(pidfd_send_signal(first, Signal::TERM)),
            _ => break,
        }
    }
    // Ends with the process, as soon as the main thread has seen the last child go.
    loop {
        kill_descendants();
        thread::sleep(PAUSE);
    }
}

/// Waits for the first process and buries every orphan that dies meanwhile.
fn wait_for(first: Pid) -> io::Result<WaitStatus> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == first => return Ok(status),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
}

fn kill_the_rest() {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => {
                kill_descendants();
                thread::sleep(PAUSE);
            }
            Err(_) => return,
        }
    }
}

fn kill_descendants() {
    let children = children_of_all();
    let mut found = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = found.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            // Gone already is as good as killed.
            let _ = Pid::from_raw(*child).map(|pid| kill_process(pid, Signal::KILL));
            found.push(*child);
        }
    }
}

/// Every process on the machine under its parent.
fn children_of_all() -> BTreeMap<i32, Vec<i32>> {
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = parent_of(&pid.to_string()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fourth word of `/proc/<pid>/stat`; the second is the name, in brackets, spaces and all.
fn parent_of(pid: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// A process's exit code as a shell counts it.
fn code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255)
}

/// Turns this process into the container's program; comes back only when that fails.
fn become_program(arguments: &[OsString]) -> io::Error {
    let [init, program, arguments @ ..] = arguments else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    };
    let prepared = set_parent_process_death_signal(Some(Signal::KILL)).and_then(|()| setsid());
    if let Err(failure) = prepared {
        return failure.into();
    }
    // Init may have died before the kernel was asked to watch it. In a namespace of its own a process cannot
    // ask for its parent, but it can read of it.
    let parent = parent_of("self").map(|pid| pid.to_string());
    if parent.as_deref() != init.to_str() {
        return io::Error::other("its init is gone");
    }
    Command::new(program).args(arguments).exec()
}

fn rest_of(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
