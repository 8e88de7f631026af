//! The process that holds a task's namespaces open and creates sockets in its network.

use std::ffi::OsString;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{WaitOptions, getegid, geteuid, wait};
use rustix::thread::UnshareFlags;

use socket2::SockRef;

use super::packet_filter::MARK;
use super::{Isolation, loopback, new_namespace, new_tcp_socket};

/// The verb of the namespace holder.
pub(crate) const NAMESPACE_HOLDER: &str = "__sandbox";
/// The verb of PID 1 in a shared PID namespace.
pub(crate) const PAUSE: &str = "__pause";

/// Formats an isolation for the holder's command line.
pub(super) fn arguments(isolation: Isolation) -> String {
    let network = if isolation.network { "network" } else { "-" };
    let processes = if isolation.shared_pid_namespace {
        "processes"
    } else {
        "-"
    };
    format!("{network},{processes}")
}

/// Creates the namespaces, reports the result, and then creates sockets on request until the runner is gone.
pub(crate) fn hold_namespaces(arguments: &[OsString]) -> io::Result<()> {
    let isolation = arguments
        .first()
        .and_then(|argument| argument.to_str())
        .unwrap_or_default();
    let mut runner = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);

    let created = create_namespaces(
        isolation.contains("network"),
        isolation.contains("processes"),
    );
    // Bound until the end: dropping the child would close its stdin, on which it exits.
    let _pause = match created {
        Ok(pause) => {
            let pid = pause.as_ref().map_or_else(std::process::id, Child::id);
            writeln!(runner, "ready {pid}")?;
            pause
        }
        Err(error) => return writeln!(runner, "refused {error}"),
    };

    let mut byte = [0];
    while let Ok(1) = runner.read(&mut byte) {
        send_socket(&mut runner)?;
    }

    Ok(())
}

/// Creates the namespaces; the error names the one that was refused. Returns PID 1 of a shared PID namespace.
fn create_namespaces(network: bool, processes: bool) -> io::Result<Option<Child>> {
    let refused =
        |what: &str, error: &dyn std::fmt::Display| io::Error::other(format!("no {what}: {error}"));
    let (user, group) = (geteuid(), getegid());

    // The user namespace first: it grants the capabilities to create the others.
    if !user.is_root() {
        new_namespace(UnshareFlags::NEWUSER).map_err(|error| refused("user namespace", &error))?;
        let map = |file: &str, id: u32| fs::write(file, format!("0 {id} 1"));
        // An unprivileged process may write gid_map only after it gave up setgroups (man 7 user_namespaces).
        fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| map("/proc/self/uid_map", user.as_raw()))
            .and_then(|()| map("/proc/self/gid_map", group.as_raw()))
            .map_err(|error| refused("user namespace", &error))?;
    }

    new_namespace(UnshareFlags::NEWNS).map_err(|error| refused("mount namespace", &error))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    // No mount of the task may propagate to the host.
    mount_change("/", private).map_err(|error| refused("private mounts", &error))?;

    if network {
        new_namespace(UnshareFlags::NEWNET)
            .map_err(|error| refused("network namespace", &error))?;
        loopback::bring_up().map_err(|error| refused("loopback interface", &error))?;
        // As in Docker: containers bind to ports below 1024 without being root.
        let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    }

    if !processes {
        return Ok(None);
    }
    new_namespace(UnshareFlags::NEWPID).map_err(|error| refused("PID namespace", &error))?;

    // unshare(CLONE_NEWPID) affects children only: the first one becomes PID 1.
    let pause = Command::new("/proc/self/exe")
        .arg(PAUSE)
        .stdin(Stdio::piped())
        .spawn();

    pause
        .map(Some)
        .map_err(|error| refused("PID namespace", &error))
}

fn send_socket(runner: &mut UnixStream) -> io::Result<()> {
    let socket = match new_tcp_socket() {
        Ok(socket) => socket,
        Err(error) => {
            runner.write_all(b"n")?;
            return runner.write_all(&error.raw_os_error().to_ne_bytes());
        }
    };

    // Without CAP_NET_ADMIN the mark fails, and the packet filter also drops what crosses the boundary.
    let _ = SockRef::from(&socket).set_mark(MARK);
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);

    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(
        &*runner,
        &[IoSlice::new(b"y")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;

    Ok(())
}

/// Runs as PID 1 of a shared PID namespace: reaps orphans, and exits with the namespace holder.
pub(crate) fn pause() -> ! {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        // Without children `wait` fails at once; polling then is cheap enough.
        if !matches!(wait(WaitOptions::empty()), Ok(Some(_))) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
