//! What `initProcessEnabled` puts before a container's program: a PID 1 that passes signals on and buries orphans.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::init::{EXEC, code, itself};
use crate::sandbox::Last;
use crate::system::own_number;

/// Starts the program, and ends with its code; comes back only when it cannot be started.
/// `line` closes when signals are passed on.
pub(crate) fn precede(last: &Last, command: &[OsString], line: Option<OwnedFd>) -> io::Error {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime.and_then(|runtime| runtime.block_on(live(last, command, line)));
    match done {
        Err(failure) => failure,
    }
}

async fn live(last: &Last, command: &[OsString], line: Option<OwnedFd>) -> io::Result<Infallible> {
    let (sent, mut heard) = mpsc::channel(SIGNALS);
    let kinds = [
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
        (SignalKind::child(), Signal::CHILD),
    ];

    for (kind, name) in kinds {
        let (mut stream, sent) = (signal(kind)?, sent.clone());
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                let _ = sent.send(name).await;
            }
        });
    }

    let child = if last.is_in_image() {
        within_image(command)?
    } else {
        again(last, command)?
    };

    drop(line);
    let child = Pid::from_child(&child);
    while let Some(signal) = heard.recv().await {
        if signal != Signal::CHILD {
            // It may have just ended.
            let _ = kill_process(child, signal);
            continue;
        }
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                std::process::exit(code(status));
            }
        }
    }

    Err(io::Error::other("no signals are heard any more"))
}

/// This program again, which asks to be killed with this process.
fn again(last: &Last, command: &[OsString]) -> io::Result<Child> {
    let rest = Last {
        folder: last.folder.clone(),
        ..Last::default()
    };
    Command::new(itself()?)
        .arg(EXEC)
        .arg(own_number()?)
        .arg(serde_json::to_string(&rest)?)
        .args(command)
        .spawn()
}

/// In an image this program lacks its libraries; but there it is PID 1, without which nobody lives on.
fn within_image(command: &[OsString]) -> io::Result<Child> {
    let [program, arguments @ ..] = command else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Command::new(program)
        .args(arguments)
        .process_group(0)
        .spawn()
}

const SIGNALS: usize = 16;
