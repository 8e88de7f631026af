//! All that a container's init started: how it hears, how its end is heard, and how nobody is left.
//!
//! Init is a subreaper: every orphan below it becomes its child, so nobody can slip away.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open,
    pidfd_send_signal, set_child_subreaper, set_parent_process_death_signal, wait,
};

use crate::system::{parent_of, processes};

/// The processes of one container.
#[derive(Debug)]
pub(crate) struct Offspring {
    first: Pid,
    handle: OwnedFd,
    /// Others than this container's live in its PID namespace, whose PID 1 adopts the orphans.
    crowded: bool,
}

/// Lets this process, which becomes an init, be the parent of every orphan to come.
pub(crate) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Asks the kernel to kill this process when the one is gone that started it.
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Called when an init was killed: the kernel kills the container with it, unless that has become somebody else
/// since (man 2 prctl).
pub(crate) fn outlive_init(first: u32) {
    let first = i32::try_from(first).ok().and_then(Pid::from_raw);
    let _ = first.map(|first| kill_process(first, Signal::KILL));
}

impl Offspring {
    /// Of the child that was just started.
    pub(crate) fn of(first: Pid, crowded: bool) -> io::Result<Self> {
        Ok(Self {
            first,
            handle: pidfd_open(first, PidfdFlags::empty())?,
            crowded,
        })
    }

    /// The first process.
    pub(crate) fn first(&self) -> Pid {
        self.first
    }

    /// Sends it a signal. It may have just ended: then there is nothing left to signal.
    pub(crate) fn terminate(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Kills everybody who is there, again and again; ends with this process.
    #[expect(
        clippy::unused_self,
        reason = "elsewhere it has to be remembered who is there"
    )]
    pub(crate) fn kill_to_the_end(&self) -> ! {
        loop {
            kill_descendants();
            thread::sleep(PAUSE);
        }
    }

    /// Waits for the first process and buries every orphan that dies meanwhile.
    pub(crate) fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.first => return Ok(status),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Kills whoever the first process left, until nobody is there.
    pub(crate) fn kill_the_rest(&self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    kill_descendants();
                    thread::sleep(PAUSE);
                }
                Err(_) => break,
            }
        }

        while self.crowded && kill_companions() {
            thread::sleep(PAUSE);
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

const PAUSE: Duration = Duration::from_millis(2);
