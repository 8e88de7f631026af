//! The process that holds a task's namespaces open, and makes sockets in its network.

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

use super::wall::MARK;
use super::{Shape, loopback, new_namespace, tcp};

/// The verb of the keeper.
pub(crate) const KEEPER: &str = "__sandbox";
/// The verb of the process that is PID 1 where containers share their processes.
pub(crate) const PAUSE: &str = "__pause";

/// A shape as the keeper's command line says it.
pub(super) fn words(shape: Shape) -> String {
    let network = if shape.network { "network" } else { "-" };
    let processes = if shape.shared_processes {
        "processes"
    } else {
        "-"
    };
    format!("{network},{processes}")
}

/// Gets the namespaces, says so, and makes sockets until the runner is gone.
pub(crate) fn keep(words: &[OsString]) -> io::Result<()> {
    let words = words
        .first()
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    let mut line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);

    // Its own end of the line at the other's command line would keep the line open.
    let made = namespaces(words.contains("network"), words.contains("processes"));
    let _pause = match made {
        Ok(pause) => {
            let pid = pause.as_ref().map_or_else(std::process::id, Child::id);
            writeln!(line, "ready {pid}")?;
            pause
        }
        Err(why) => return writeln!(line, "refused {why}"),
    };

    let mut byte = [0];
    while let Ok(1) = line.read(&mut byte) {
        answer(&mut line)?;
    }

    Ok(())
}

/// What was refused is in the message.
fn namespaces(network: bool, processes: bool) -> io::Result<Option<Child>> {
    let told = |what: &str, failure: &dyn std::fmt::Display| {
        io::Error::other(format!("no {what}: {failure}"))
    };
    let (user, group) = (geteuid(), getegid());

    if !user.is_root() {
        new_namespace(UnshareFlags::NEWUSER).map_err(|why| told("user namespace", &why))?;
        let map = |file: &str, id: u32| fs::write(file, format!("0 {id} 1"));
        fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| map("/proc/self/uid_map", user.as_raw()))
            .and_then(|()| map("/proc/self/gid_map", group.as_raw()))
            .map_err(|why| told("user namespace", &why))?;
    }

    new_namespace(UnshareFlags::NEWNS).map_err(|why| told("mount namespace", &why))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|why| told("mounts of its own", &why))?;

    if network {
        new_namespace(UnshareFlags::NEWNET).map_err(|why| told("network namespace", &why))?;
        loopback::bring_up().map_err(|why| told("loopback in its network", &why))?;
        // As in a container: whoever may not be root here may still listen on 443 of its own network.
        let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    }

    if !processes {
        return Ok(None);
    }
    new_namespace(UnshareFlags::NEWPID).map_err(|why| told("PID namespace", &why))?;

    let pause = Command::new("/proc/self/exe")
        .arg(PAUSE)
        .stdin(Stdio::piped())
        .spawn();

    pause.map(Some).map_err(|why| told("PID namespace", &why))
}

fn answer(line: &mut UnixStream) -> io::Result<()> {
    let socket = match tcp() {
        Ok(socket) => socket,
        Err(why) => {
            line.write_all(b"n")?;
            return line.write_all(&why.raw_os_error().to_ne_bytes());
        }
    };

    // Without the right to mark it, a black hole between containers swallows what comes from outside too.
    let _ = SockRef::from(&socket).set_mark(MARK);
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);

    beside.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(
        &*line,
        &[IoSlice::new(b"y")],
        &mut beside,
        SendFlags::NOSIGNAL,
    )?;

    Ok(())
}

/// PID 1 of a task that shares its processes: buries whoever is left to it, and ends with the keeper.
pub(crate) fn pause() -> ! {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        if !matches!(wait(WaitOptions::empty()), Ok(Some(_))) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
