//! All that a container's init started, as far as it can be found without Linux.
//!
//! The first process leads a session and a process group; who stays in the group is found by it, who leaves it
//! by its parent. A process whose parent ends belongs to nobody: so init looks every now and then, and
//! remembers whom it saw. Who leaves the group and loses its parent between two looks is lost.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, waitpid,
};

use crate::system::{LOOK, Seen, look};

/// The processes of one container.
#[derive(Debug, Clone)]
pub(crate) struct Offspring {
    first: Pid,
    buried: Arc<AtomicBool>,
    /// Who was there at the last look.
    known: Arc<Mutex<Known>>,
}

/// What has become of the first process: once it is buried, its number may be somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Lives,
    Buried,
}

/// Processes and their groups: a number that is given out anew comes with another group.
type Known = BTreeSet<(u32, u32)>;

/// Orphans go to the system's own init here.
#[expect(clippy::unnecessary_wraps, reason = "the one of Linux can fail")]
pub(crate) fn adopt() -> io::Result<()> {
    Ok(())
}

/// Nobody can be asked for it here.
#[expect(clippy::unnecessary_wraps, reason = "the one of Linux can fail")]
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(())
}

/// Called when an init was killed: kills the group of the container's first process. Who has left it stays.
pub(crate) fn outlive_init(first: u32) {
    let first = i32::try_from(first).ok().and_then(Pid::from_raw);
    let _ = first.map(|first| kill_process_group(first, Signal::KILL));
}

impl Offspring {
    /// Of the child that was just started; from now on it is looked at.
    #[expect(clippy::unnecessary_wraps, reason = "the one of Linux can fail")]
    pub(crate) fn of(first: Pid, _: bool) -> io::Result<Self> {
        let family = Self {
            first,
            buried: Arc::default(),
            known: Arc::default(),
        };
        let looks = family.clone();

        // Ends with the process.
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK);
                looks.remember();
            }
        });

        Ok(family)
    }

    /// The first process.
    pub(crate) fn first(&self) -> Pid {
        self.first
    }

    /// Sends it a signal, once everybody is known whom it might leave behind.
    pub(crate) fn terminate(&self, signal: Signal) {
        self.remember();
        if self.state() == First::Lives {
            let _ = kill_process(self.first, signal);
        }
    }

    /// Kills everybody who is found, again and again; ends with this process.
    pub(crate) fn kill_to_the_end(&self) -> ! {
        loop {
            self.kill();
            thread::sleep(PAUSE);
        }
    }

    /// Waits for the first process.
    pub(crate) fn wait(&self) -> io::Result<WaitStatus> {
        loop {
            match waitpid(Some(self.first), WaitOptions::empty()) {
                Ok(Some((_, status))) => {
                    self.buried.store(true, Ordering::Release);
                    return Ok(status);
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Kills whoever the first process left, until nobody is found.
    pub(crate) fn kill_the_rest(&self) {
        for _ in 0..LOOKS {
            if !self.kill() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }

    /// Says whether there was anybody.
    fn kill(&self) -> bool {
        let found = self.remember();
        let _ = kill_process_group(self.first, Signal::KILL);
        for (pid, _) in &found {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            // Gone already is as good as killed.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
        !found.is_empty()
    }

    /// Looks, and keeps in mind who is there.
    fn remember(&self) -> Known {
        let all = look();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = descent(&all, number(self.first), self.state(), &known);
        known.clone()
    }

    fn state(&self) -> First {
        if self.buried.load(Ordering::Acquire) {
            First::Buried
        } else {
            First::Lives
        }
    }
}

/// The first process as long as it lives, who is in its group, who was known before, and all that came of them.
fn descent(all: &[Seen], first: u32, state: First, known: &Known) -> Known {
    let alive = || all.iter().filter(|one| !one.ended);
    let belongs = |one: &&Seen| {
        let is_first = one.pid == first && state == First::Lives;
        is_first || one.group == first || known.contains(&(one.pid, one.group))
    };
    let mut found: Known = (alive().filter(belongs))
        .map(|one| (one.pid, one.group))
        .collect();

    // At most as many generations as there are processes.
    for _ in all {
        let is_child = |one: &&Seen| found.iter().any(|(pid, _)| *pid == one.parent);
        let more: Known = alive()
            .filter(is_child)
            .map(|one| (one.pid, one.group))
            .collect();
        let before = found.len();

        found.extend(more);
        if found.len() == before {
            break;
        }
    }

    found
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

const PAUSE: Duration = Duration::from_millis(20);
/// More looks than any kill needs.
const LOOKS: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, group: u32) -> Seen {
        Seen {
            pid,
            parent,
            group,
            ended: false,
            spent: Duration::ZERO,
            resident: 0,
        }
    }

    #[test]
    fn who_lost_its_parent_after_a_look_is_still_known() {
        let before = [
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(99, 1, 99),
        ];

        let known = descent(&before, 10, First::Lives, &Known::new());
        assert_eq!(known, [(10, 10), (11, 10), (12, 12)].into());

        // 10 and 11 are gone; 13 is new below 12, 14 in the group, and somebody else got the number 11.
        let after = [
            process(12, 1, 12),
            process(13, 12, 13),
            process(11, 99, 99),
            process(14, 1, 10),
            process(99, 1, 99),
        ];

        assert_eq!(
            descent(&after, 10, First::Buried, &known),
            [(12, 12), (13, 13), (14, 10)].into()
        );
    }

    #[test]
    fn who_has_ended_is_nobody() {
        let ended = Seen {
            ended: true,
            ..process(12, 1, 12)
        };
        assert_eq!(
            descent(&[ended], 10, First::Buried, &[(12, 12)].into()),
            Known::new()
        );
    }
}
