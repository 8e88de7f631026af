//! The process between the runner and a container: its init.
//!
//! It is this same program, started again as `<program> __init <place> <binary> <argument>…`. Its stdin
//! is a socket to the runner:
//!
//! | runner says | init says |
//! |---|---|
//! | `terminate`: send SIGTERM, or what its image says instead, to the container's first process | `started <pid> alone\|shared` |
//! | `kill`: kill it and everything it started | `exited <code>` |
//! | *end of file*: the runner is gone; as `kill` | |
//!
//! Init adopts every orphan below it (it is a subreaper), so nothing the container started can slip
//! away: when the first process ends, the others are killed, as they are at the end of a PID
//! namespace. A container that is to be `alone` gets such a namespace too, where this machine allows it:
//! then its first process is PID 1, as on Fargate, and hears no SIGTERM that it has no handler for.
//!
//! The place says in which namespaces it is to live, and what it is to find there ([`crate::sandbox`]).
//! Between init and the container stands one more start of this program, `__exec`, which asks the kernel to
//! be killed when init is, opens a session of its own, becomes the container's user, and then the
//! container's program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open,
    pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, setsid, wait,
};
use serde::de::DeserializeOwned;

use crate::reaper::precede;
use crate::sandbox::{
    IDENTITIES, KEEPER, Last, PAUSE as PAUSED, Place, WITHIN, admit_everybody, finish, keep, pause,
    within,
};

pub(crate) const INIT: &str = "__init";
pub(crate) const EXEC: &str = "__exec";
pub(crate) const ITSELF: &str = "/proc/self/exe";
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
        KEEPER => {
            return Some(keep(&rest).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
        }
        IDENTITIES => {
            let done = admit_everybody(&rest);
            return Some(done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS));
        }
        PAUSED => pause(),
        WITHIN => {
            let _ = within(&rest);
            return Some(ExitCode::FAILURE);
        }
        _ => return None,
    };
    // Before the program stand the place, or the init and what is left to do.
    let own = if verb == INIT { 1 } else { 2 };
    let command = rest_of(rest.get(own..).unwrap_or_default());
    let _ = writeln!(io::stderr(), "cannot run `{command}`: {failure}");
    Some(ExitCode::from(match failure.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }))
}

/// Starts the container's first process and stays until nothing of it is left.
fn guard(words: &[OsString]) -> io::Result<()> {
    let [place, command @ ..] = words else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no program is named",
        ));
    };
    let runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    set_child_subreaper(Some(getpid()))?;
    let place: Place = parsed(place)?;
    // Before there are threads: the kernel lets only whole processes into other user namespaces.
    place.enter()?;
    let crowded = place.shares_processes();
    let (begun, first) = mpsc::channel();
    let (orders, command) = (runner.try_clone()?, command.to_vec());
    // The kernel kills the child when the thread that started it ends: it is the one that obeys, to the end.
    thread::spawn(move || match begin(&place, &command) {
        Ok((pid, handle, alone)) => {
            let _ = begun.send(Ok((pid, alone)));
            let signal = place.stop_signal.and_then(Signal::from_named_raw);
            obey(orders, &handle, signal.unwrap_or(Signal::TERM));
        }
        Err(failure) => drop(begun.send(Err(failure))),
    });
    let (first, alone) = first.recv().map_err(io::Error::other)??;
    writeln!(
        &runner,
        "started {} {}",
        first.as_raw_nonzero(),
        if alone { "alone" } else { "shared" }
    )?;
    let code = code(wait_for(first)?);
    kill_the_rest();
    while crowded && kill_companions() {
        thread::sleep(PAUSE);
    }
    // The runner may be gone; then there is nobody to tell.
    let _ = writeln!(&runner, "exited {code}");
    Ok(())
}

/// Starts the first process: its id, a handle to it, and whether it came to be alone.
fn begin(place: &Place, command: &[OsString]) -> io::Result<(Pid, OwnedFd, bool)> {
    let alone = place.give_birth()?;
    let child = Command::new(ITSELF)
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .arg(serde_json::to_string(&place.last)?)
        .args(command)
        .stdin(Stdio::null())
        .spawn()?;
    let first = Pid::from_child(&child);
    Ok((first, pidfd_open(first, PidfdFlags::empty())?, alone))
}

fn obey(orders: UnixStream, first: &OwnedFd, stop: Signal) {
    for order in BufReader::new(orders).lines().map_while(Result::ok) {
        match order.as_str() {
            // It may have just ended: then there is nothing left to signal.
            "terminate" => drop(pidfd_send_signal(first, stop)),
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

/// Where containers share a PID namespace, its PID 1 adopts the orphans, not init; but they still live in the
/// IPC namespace that init made for its container. Says whether there were any.
fn kill_companions() -> bool {
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/ipc")).ok();
    let Some(own) = of("self") else { return false };
    let (itself, own) = (getpid().as_raw_nonzero().get(), Some(own));
    let mut found = false;
    for pid in processes().filter(|pid| *pid != itself && of(&pid.to_string()) == own) {
        let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        found = true;
    }
    found
}

pub(crate) fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Every process on the machine under its parent.
fn children_of_all() -> BTreeMap<i32, Vec<i32>> {
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for pid in processes() {
        if let Some(parent) = parent_of(&pid.to_string()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fourth word of `/proc/<pid>/stat`; the second is the name, in brackets, spaces and all.
pub(crate) fn parent_of(pid: &str) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// A process's exit code as a shell counts it.
pub(crate) fn code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255)
}

/// Turns this process into the container's program; comes back only when that fails.
fn become_program(arguments: &[OsString]) -> io::Error {
    let [init, last, command @ ..] = arguments else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    };
    let [program, arguments @ ..] = command else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program is named");
    };
    let prepared = set_parent_process_death_signal(Some(Signal::KILL)).and_then(|()| setsid());
    if let Err(failure) = prepared {
        return failure.into();
    }
    let last: Last = match parsed(last) {
        Ok(last) => last,
        Err(failure) => return failure,
    };
    // Init may have died before the kernel was asked to watch it. In a namespace of its own a process cannot
    // ask for its parent, but it can read of it.
    let parent = parent_of("self").map(|pid| pid.to_string());
    if parent.as_deref() != init.to_str() {
        return io::Error::other("its init is gone");
    }
    if let Err(failure) = finish(&last) {
        return failure;
    }
    if last.init {
        return precede(&last, command);
    }
    Command::new(program).args(arguments).exec()
}

/// What the one who started this process has to say.
fn parsed<T: DeserializeOwned>(word: &OsString) -> io::Result<T> {
    Ok(serde_json::from_slice(word.as_encoded_bytes())?)
}

fn rest_of(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
