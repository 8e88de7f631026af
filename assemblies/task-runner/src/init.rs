//! The process between the runner and a container: its init.
//!
//! It is this same program, started again as `<program> __init <place> <binary> <argument>…`. Its stdin
//! is a socket to the runner:
//!
//! | runner says | init says |
//! |---|---|
//! | `terminate`: send SIGTERM, or what its image says instead, to the container's first process | `started <pid> alone\|shared` |
//! | `kill`: kill it and everything it started | `failed <why>`, in the place of `started` |
//! | | `exited <code>` |
//! | *end of file*: the runner is gone; as `kill` | |
//!
//! Init adopts every orphan below it, so nothing the container started can slip away: when the first process ends, the others are killed, as they are at the end of a PID
//! namespace. A container that is to be `alone` gets such a namespace too, where this machine allows it:
//! then its first process is PID 1, as on Fargate, and hears no SIGTERM that it has no handler for.
//!
//! The place says in which namespaces it is to live, and what it is to find there ([`crate::sandbox`]).
//! Between init and the container stands one more start of this program, `__exec`, which asks the kernel to
//! be killed when init is, opens a session of its own, becomes the container's user, and then the
//! container's program. Its stdin is a line to init, which closes when the program has begun: then init says
//! `started`, for a signal that comes sooner is for nobody.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, WaitStatus, getpid, setsid};
use rustix::stdio::dup2_stdin;
use serde::de::DeserializeOwned;

use crate::offspring::{Offspring, adopt, end_with_parent};
use crate::reaper::precede;
use crate::sandbox::{self, Last, Place, finish};
use crate::system;

pub(crate) const INIT: &str = "__init";
pub(crate) const EXEC: &str = "__exec";

/// The file of this program, for [`RunPlan::init`](crate::RunPlan::init).
///
/// # Errors
///
/// The system does not say which it is.
pub fn itself() -> io::Result<PathBuf> {
    system::itself()
}

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
        other => return sandbox::intercept(other, &rest),
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
    adopt()?;
    let place: Place = parsed(place)?;

    // Before there are threads: the kernel lets only whole processes into other user namespaces.
    place.enter()?;
    let (begun, first) = mpsc::channel();
    let (orders, command) = (runner.try_clone()?, command.to_vec());

    // The kernel kills the child when the thread that started it ends: it is the one that obeys, to the end.
    thread::spawn(move || match begin(&place, &command) {
        Ok((offspring, alone)) => {
            let _ = begun.send(Ok((Arc::clone(&offspring), alone)));
            let signal = place.stop_signal.and_then(Signal::from_named_raw);
            obey(orders, &offspring, signal.unwrap_or(Signal::TERM));
        }
        Err(failure) => drop(begun.send(Err(failure))),
    });

    let (offspring, alone) = match first.recv().map_err(io::Error::other)? {
        Ok(begun) => begun,
        Err(why) => {
            let _ = writeln!(&runner, "failed {}", why.to_string().replace('\n', " "));
            return Err(why);
        }
    };

    writeln!(
        &runner,
        "started {} {}",
        offspring.first().as_raw_nonzero(),
        if alone { "alone" } else { "shared" }
    )?;

    let code = code(offspring.wait()?);
    offspring.kill_the_rest();

    // The runner may be gone; then there is nobody to tell.
    let _ = writeln!(&runner, "exited {code}");
    Ok(())
}

/// Starts the first process: all that will come of it, and whether it came to be alone.
fn begin(place: &Place, command: &[OsString]) -> io::Result<(Arc<Offspring>, bool)> {
    let alone = place.give_birth()?;
    let (mut begun, begins) = io::pipe()?;
    let last = Last {
        announced: true,
        ..place.last.clone()
    };
    let child = Command::new(itself()?)
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .arg(serde_json::to_string(&last)?)
        .args(command)
        .stdin(begins)
        .spawn()?;

    // It closes when the program has taken this program's place: before, it would not hear of a stop. Where it
    // cannot, it is told why.
    let mut why = String::new();
    let _ = begun.read_to_string(&mut why);
    if !why.is_empty() {
        return Err(io::Error::other(why));
    }

    let offspring = Offspring::of(Pid::from_child(&child), place.shares_processes())?;
    Ok((Arc::new(offspring), alone))
}

fn obey(orders: UnixStream, offspring: &Offspring, stop: Signal) {
    for order in BufReader::new(orders).lines().map_while(Result::ok) {
        match order.as_str() {
            "terminate" => offspring.terminate(stop),
            _ => break,
        }
    }
    // Ends with the process, as soon as the main thread has seen the last child go.
    offspring.kill_to_the_end();
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
    if let Err(failure) = end_with_parent().and_then(|()| Ok(setsid()?)) {
        return failure;
    }

    let last: Last = match parsed(last) {
        Ok(last) => last,
        Err(failure) => return failure,
    };

    let line = match last.announced.then(line_to_init).transpose() {
        Ok(line) => line,
        Err(failure) => return failure,
    };

    let (line, failure) = instead(init, &last, command, line);
    // Who waits at the other end tells it.
    if let Some(mut line) = line.map(File::from) {
        let _ = write!(line, "{failure}");
        std::process::exit(126);
    }

    failure
}

/// The rest of it; the line comes back with a failure, as long as nothing has begun.
fn instead(
    init: &OsString,
    last: &Last,
    command: &[OsString],
    line: Option<OwnedFd>,
) -> (Option<OwnedFd>, io::Error) {
    // Init may have died before the kernel was asked to watch it.
    if system::parent().as_deref() != init.to_str() {
        return (line, io::Error::other("its init is gone"));
    }
    if let Err(failure) = finish(last) {
        return (line, failure);
    }

    if last.init {
        return (None, precede(last, command, line));
    }
    let [program, arguments @ ..] = command else {
        return (line, io::ErrorKind::InvalidInput.into());
    };

    // The line closes with it.
    let failure = Command::new(program).args(arguments).exec();
    (line, failure)
}

/// Lays the line aside that is this process's input; the program has none.
fn line_to_init() -> io::Result<OwnedFd> {
    let line = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(line)
}

/// What the one who started this process has to say.
fn parsed<T: DeserializeOwned>(word: &OsString) -> io::Result<T> {
    Ok(serde_json::from_slice(word.as_encoded_bytes())?)
}

fn rest_of(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
