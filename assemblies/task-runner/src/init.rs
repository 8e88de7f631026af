//! The process between the runner and a container: its init.
//!
//! It is this same program, started again as `<program> __init <binary> <argument>…`. Its stdin is
//! a socket to the runner:
//!
//! | runner says | init says |
//! |---|---|
//! | `terminate`: send SIGTERM to the container's first process | `started <pid>` |
//! | `kill`: kill it and everything it started | `exited <code>` |
//! | *end of file*: the runner is gone; as `kill` | |
//!
//! Init adopts every orphan below it (it is a subreaper), so nothing the container started can slip
//! away: when the first process ends, the others are killed, as they are at the end of a PID
//! namespace. Between init and the container stands one more start of this program, `__exec`, which
//! asks the kernel to be killed when init is, opens a session of its own, and then becomes the
//! container's program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, getppid, kill_process, pidfd_open,
    pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, setsid, wait,
};

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
fn guard(command: &[OsString]) -> io::Result<()> {
    let runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let child = Command::new(ITSELF)
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .args(command)
        .stdin(Stdio::null())
        .spawn()?;
    let first = Pid::from_child(&child);
    let handle = pidfd_open(first, PidfdFlags::empty())?;
    writeln!(&runner, "started {}", first.as_raw_nonzero())?;

    let orders = runner.try_clone()?;
    thread::spawn(move || obey(orders, &handle));
    let code = code(wait_for(first)?);
    kill_the_rest();
    // The runner may be gone; then there is nobody to tell.
    let _ = writeln!(&runner, "exited {code}");
    Ok(())
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
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fourth word of `/proc/<pid>/stat`; the second is the name, in brackets, spaces and all.
fn parent_of(pid: i32) -> Option<i32> {
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
    // Init may have died before the kernel was asked to watch it.
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.as_deref() != init.to_str() {
        return io::Error::other("its init is gone");
    }
    Command::new(program).args(arguments).exec()
}

fn rest_of(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
