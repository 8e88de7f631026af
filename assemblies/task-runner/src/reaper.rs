//! The init of `initProcessEnabled`: a PID 1 that forwards signals and reaps orphans.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::init::{EXEC, exit_code, own_executable};
use crate::sandbox::ExecContext;
use crate::system::own_pid_in_proc;

/// Starts the program and exits with its code; returns only if it cannot be started.
///
/// Closes `status` once signals are forwarded.
pub(crate) fn run_reaper(
    exec: &ExecContext,
    command: &[OsString],
    status: Option<OwnedFd>,
) -> io::Error {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result =
        runtime.and_then(|runtime| runtime.block_on(reap_until_exit(exec, command, status)));
    match result {
        Err(error) => error,
    }
}

async fn reap_until_exit(
    exec: &ExecContext,
    command: &[OsString],
    status: Option<OwnedFd>,
) -> io::Result<Infallible> {
    let (sender, mut signals) = mpsc::channel(SIGNAL_QUEUE);
    let kinds = [
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
        (SignalKind::child(), Signal::CHILD),
    ];

    // The handlers are installed before the program starts, so that no signal hits this process unhandled.
    for (kind, name) in kinds {
        let (mut stream, sender) = (signal(kind)?, sender.clone());
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = sender.send(name).await;
            }
        });
    }

    let child = if exec.is_in_image() {
        spawn_in_image(command)?
    } else {
        spawn_via_exec(exec, command)?
    };

    drop(status);
    let child = Pid::from_child(&child);
    while let Some(signal) = signals.recv().await {
        if signal != Signal::CHILD {
            // Fails if the program has just ended; its SIGCHLD follows.
            let _ = kill_process(child, signal);
            continue;
        }
        // Signals coalesce: one SIGCHLD may announce several children.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                std::process::exit(exit_code(status));
            }
        }
    }

    Err(io::Error::other("the signal streams ended"))
}

/// Starts the program through `__exec`, which asks the kernel to kill it with this process.
fn spawn_via_exec(exec: &ExecContext, command: &[OsString]) -> io::Result<Child> {
    // Namespaces, mounts and user are set up already; only the folder is inherited.
    let exec = ExecContext {
        folder: exec.folder.clone(),
        ..ExecContext::default()
    };
    Command::new(own_executable()?)
        .arg(EXEC)
        .arg(own_pid_in_proc()?)
        .arg(serde_json::to_string(&exec)?)
        .args(command)
        .spawn()
}

/// Starts the program directly: in an image this program lacks its libraries. It is PID 1, so the kernel kills
/// all other processes of the namespace with it.
fn spawn_in_image(command: &[OsString]) -> io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Command::new(program)
        .args(arguments)
        .process_group(0)
        .spawn()
}

const SIGNAL_QUEUE: usize = 16;
