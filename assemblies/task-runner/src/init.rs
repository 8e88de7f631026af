//! The init of a container: the process between the runner and the container's first process.
//!
//! It is this program, started as `<program> __init <context> <binary> <argument>…`. Its stdin is a socket to
//! the runner:
//!
//! | runner sends | init sends |
//! |---|---|
//! | `terminate`: send SIGTERM, or the image's stop signal, to the first process | `started <pid> own\|shared` |
//! | `kill`: kill the container's processes | `failed <error>`, instead of `started` |
//! | | `exited <code>` |
//! | *end of file*: the runner is gone; same as `kill` | |
//!
//! Init is a subreaper: every orphan below it becomes its child, so no process of the container escapes. When
//! the first process ends, init kills the others, as the kernel does at the end of a PID namespace. The
//! container gets its own PID namespace if the host grants one. Its first process is then PID 1, as on
//! Fargate, and ignores SIGTERM unless it has a handler.
//!
//! The context names the namespaces to join and the mounts to make ([`crate::sandbox`]). Between init and the
//! container's program runs this program once more, as `__exec`. It asks the kernel to kill it when init dies,
//! opens a session, becomes the container's user, and executes the program. Its stdin is a pipe to init that
//! closes on the exec. Only then init sends `started`: a signal sent earlier would hit this program instead.

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

use crate::process_tree::{ProcessTree, become_subreaper, die_with_parent, kill_until_exit};
use crate::reaper::run_reaper;
use crate::sandbox::{self, ExecContext, ProcessContext, prepare_exec};
use crate::system;

pub(crate) const INIT: &str = "__init";
pub(crate) const EXEC: &str = "__exec";
/// In `started`: the first process is PID 1 of a new namespace.
pub(crate) const OWN_NAMESPACE: &str = "own";
const SHARED_NAMESPACE: &str = "shared";

/// Returns the path of this program, for [`RunPlan::init`](crate::RunPlan::init).
///
/// # Errors
///
/// Returns an error if the system does not know the path.
pub fn own_executable() -> io::Result<PathBuf> {
    system::own_executable()
}

/// Runs a container's init if the command line asks for it; otherwise returns `None`.
///
/// Call it first in `main` of every program that calls [`run`](crate::run).
pub fn run_if_init() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let verb = arguments.next()?;
    let rest: Vec<_> = arguments.collect();
    let error = match verb.to_str()? {
        INIT => match run_init(&rest) {
            Ok(()) => return Some(ExitCode::SUCCESS),
            Err(error) => error,
        },
        EXEC => exec_program(&rest),
        other => return sandbox::run_helper(other, &rest),
    };

    // The arguments before the program: the context, or the init's pid and the context.
    let skipped = if verb == INIT { 1 } else { 2 };
    let command = join_words(rest.get(skipped..).unwrap_or_default());
    let _ = writeln!(io::stderr(), "cannot run `{command}`: {error}");
    // The exit codes of a shell for a command that is missing or not executable (POSIX, 2.8.2).
    Some(ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => 127,
        _ => 126,
    }))
}

/// Starts the container's first process and stays until all its processes have ended.
fn run_init(arguments: &[OsString]) -> io::Result<()> {
    let [context, command @ ..] = arguments else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no program given",
        ));
    };

    let runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    become_subreaper()?;
    let context: ProcessContext = parse_argument(context)?;

    // Before the first thread: the kernel lets only single-threaded processes join a user namespace.
    context.enter()?;
    let (sender, started) = mpsc::channel();
    let (commands, command) = (runner.try_clone()?, command.to_vec());

    // The kernel kills the child when the thread that started it ends (man 2 prctl, PR_SET_PDEATHSIG), so that
    // thread handles the commands until init exits.
    thread::spawn(move || match start_container(&context, &command) {
        Ok((process_tree, namespace)) => {
            let _ = sender.send(Ok((Arc::clone(&process_tree), namespace)));
            let signal = context.stop_signal.and_then(Signal::from_named_raw);
            handle_commands(commands, &process_tree, signal.unwrap_or(Signal::TERM));
        }
        Err(error) => drop(sender.send(Err(error))),
    });

    let (process_tree, namespace) = match started.recv().map_err(io::Error::other)? {
        Ok(started) => started,
        Err(error) => {
            // The protocol is one message per line.
            let _ = writeln!(&runner, "failed {}", error.to_string().replace('\n', " "));
            return Err(error);
        }
    };

    writeln!(
        &runner,
        "started {} {namespace}",
        process_tree.first().as_raw_nonzero(),
    )?;

    let code = exit_code(process_tree.wait()?);
    // Before `exited`: the runner may start the container again right after it.
    process_tree.kill_remaining();

    // Fails only if the runner is gone.
    let _ = writeln!(&runner, "exited {code}");
    Ok(())
}

/// Starts the first process; returns its process tree and the kind of its PID namespace.
fn start_container(
    context: &ProcessContext,
    command: &[OsString],
) -> io::Result<(Arc<ProcessTree>, &'static str)> {
    let namespace = if context.prepare_child_namespace()? {
        OWN_NAMESPACE
    } else {
        SHARED_NAMESPACE
    };
    let (mut status, status_writer) = io::pipe()?;
    let exec = ExecContext {
        reports_start: true,
        ..context.exec.clone()
    };
    let child = Command::new(own_executable()?)
        .arg(EXEC)
        .arg(getpid().as_raw_nonzero().to_string())
        .arg(serde_json::to_string(&exec)?)
        .args(command)
        .stdin(status_writer)
        .spawn()?;

    // The pipe is close-on-exec: it closes once the program has started, or first delivers the error.
    let mut error = String::new();
    let _ = status.read_to_string(&mut error);
    if !error.is_empty() {
        return Err(io::Error::other(error));
    }

    let process_tree = ProcessTree::new(Pid::from_child(&child), context.shares_pid_namespace())?;
    Ok((Arc::new(process_tree), namespace))
}

/// Handles commands until `kill` or the end of the file.
fn handle_commands(commands: UnixStream, process_tree: &ProcessTree, stop: Signal) {
    for command in BufReader::new(commands).lines().map_while(Result::ok) {
        match command.as_str() {
            "terminate" => process_tree.terminate(stop),
            _ => break,
        }
    }
    // Loops until the main thread has seen the last process end and exits.
    kill_until_exit();
}

/// Returns the exit code of a process as a shell reports it.
pub(crate) fn exit_code(status: WaitStatus) -> i32 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).unwrap_or(255)
}

/// Replaces this process with the container's program; returns only on an error.
fn exec_program(arguments: &[OsString]) -> io::Error {
    let [init, exec, command @ ..] = arguments else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no program given");
    };
    // A new session keeps the terminal's signals away from the container.
    if let Err(error) = die_with_parent().and_then(|()| Ok(setsid()?)) {
        return error;
    }

    let exec: ExecContext = match parse_argument(exec) {
        Ok(exec) => exec,
        Err(error) => return error,
    };

    let status = match exec.reports_start.then(take_status_pipe).transpose() {
        Ok(status) => status,
        Err(error) => return error,
    };

    let (status, error) = set_up_and_exec(init, &exec, command, status);
    // Init reads the error from the pipe and reports it; printing it here would log it twice.
    if let Some(mut status) = status.map(File::from) {
        let _ = write!(status, "{error}");
        std::process::exit(126);
    }

    error
}

/// Sets up the process and executes the program. Returns the status pipe with the error, unless it is closed.
fn set_up_and_exec(
    init: &OsString,
    exec: &ExecContext,
    command: &[OsString],
    status: Option<OwnedFd>,
) -> (Option<OwnedFd>, io::Error) {
    // Init may have died before the parent-death signal was set; then nothing would kill this process.
    if system::parent().as_deref() != init.to_str() {
        return (status, io::Error::other("its init is gone"));
    }
    if let Err(error) = prepare_exec(exec) {
        return (status, error);
    }

    if exec.runs_reaper {
        return (None, run_reaper(exec, command, status));
    }
    let [program, arguments @ ..] = command else {
        return (status, io::ErrorKind::InvalidInput.into());
    };

    // The pipe closes on the exec.
    let error = Command::new(program).args(arguments).exec();
    (status, error)
}

/// Moves the status pipe away from stdin, which becomes `/dev/null` for the program.
fn take_status_pipe() -> io::Result<OwnedFd> {
    // The clone is close-on-exec, unlike stdin itself.
    let status = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(status)
}

/// Parses an argument that the parent process serialized.
fn parse_argument<T: DeserializeOwned>(word: &OsString) -> io::Result<T> {
    Ok(serde_json::from_slice(word.as_encoded_bytes())?)
}

fn join_words(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
