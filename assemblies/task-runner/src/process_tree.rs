//! The processes of a container as its init sees them: signals, exits, and the kill of all that remain.
//!
//! Init is a subreaper: every orphan below it becomes its child, so no process escapes.

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
pub(crate) struct ProcessTree {
    first: Pid,
    handle: OwnedFd,
    /// Other containers live in the same PID namespace, and its PID 1 adopts the orphans.
    shared_pid_namespace: bool,
}

/// Makes this process adopt all orphaned descendants.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Asks the kernel to kill this process when its parent dies.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Kills the first process of a container after its init was killed.
///
/// The kernel usually does it: the process asked for a parent-death signal. A change of credentials clears that
/// (man 2 prctl).
pub(crate) fn kill_orphaned_container(first: u32) {
    let first = i32::try_from(first).ok().and_then(Pid::from_raw);
    let _ = first.map(|first| kill_process(first, Signal::KILL));
}

/// Kills all descendants repeatedly until this process exits.
pub(crate) fn kill_until_exit() -> ! {
    loop {
        kill_descendants();
        thread::sleep(RETRY_DELAY);
    }
}

impl ProcessTree {
    /// Creates the tree of a child that was just started.
    pub(crate) fn new(first: Pid, shared_pid_namespace: bool) -> io::Result<Self> {
        Ok(Self {
            first,
            // A pidfd: after the exit of the process its number may belong to another one.
            handle: pidfd_open(first, PidfdFlags::empty())?,
            shared_pid_namespace,
        })
    }

    /// Returns the first process.
    pub(crate) fn first(&self) -> Pid {
        self.first
    }

    /// Sends a signal to the first process; ignored if it has just ended.
    pub(crate) fn terminate(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits for the first process; reaps every orphan that ends meanwhile.
    pub(crate) fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if pid == self.first => return Ok(status),
                // An orphan was reaped, or a signal interrupted the wait.
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills and reaps all processes that the first one left behind.
    pub(crate) fn kill_remaining(&self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    // Children are alive. New ones may appear while their parents are being killed, hence the loop.
                    kill_descendants();
                    thread::sleep(RETRY_DELAY);
                }
                // ECHILD: no children are left.
                Err(_) => break,
            }
        }

        while self.shared_pid_namespace && kill_ipc_peers() {
            thread::sleep(RETRY_DELAY);
        }
    }
}

fn kill_descendants() {
    let children = children_by_parent();
    let mut found = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = found.pop() {
        for child in children.get(&parent).into_iter().flatten() {
            // Fails if it has already ended.
            let _ = Pid::from_raw(*child).map(|pid| kill_process(pid, Signal::KILL));
            found.push(*child);
        }
    }
}

/// Kills the processes in this process's IPC namespace; returns true if there were any.
///
/// In a shared PID namespace orphans are adopted by its PID 1 instead of init. They are still in the IPC
/// namespace that init created for its container.
fn kill_ipc_peers() -> bool {
    let ipc_namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/ipc")).ok();
    let Some(own) = ipc_namespace("self") else {
        return false;
    };
    let (own_pid, own) = (getpid().as_raw_nonzero().get(), Some(own));
    let mut found = false;
    for pid in processes().filter(|pid| *pid != own_pid && ipc_namespace(&pid.to_string()) == own) {
        let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        found = true;
    }
    found
}

/// Returns the children of every process on the host.
fn children_by_parent() -> BTreeMap<i32, Vec<i32>> {
    let mut children = BTreeMap::<i32, Vec<i32>>::new();
    for pid in processes() {
        if let Some(parent) = parent_of(&pid.to_string()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

const RETRY_DELAY: Duration = Duration::from_millis(2);
