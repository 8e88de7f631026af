//! `up --count N`: as many tasks of one assembly as a service would have, behind one listener for each port.
//!
//! Each task is `assemble up` again, with a name and ports of its own. A task that ends is replaced, as by a
//! service: at once if it had been ready, ever later if it never was.

use std::env;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::door::{Word, say};
use super::keep::TASK;
use super::life::Signals;
use super::target::Target;
use super::{Arguments, network, ready, run_name};
use crate::dev_keys::private_folder;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod copy;
mod ring;

use copy::Copy;
use ring::{Ring, listen};

/// The number of this task among several.
pub(super) fn number() -> Option<String> {
    env::var(NUMBER).ok()
}

/// A task among several ends in order when the one who started it is gone.
pub(super) fn end_with_the_service(folder: &Path) {
    let folder = folder.to_owned();
    thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        let _ = say(&folder, Word::Stop);
    });
}

/// Runs them until somebody has enough. The code is 0 when all ended well then.
pub(super) fn run(
    count: u8,
    arguments: &Arguments,
    project: &Project,
    talk: &Talk,
) -> Result<u8, Failure> {
    let mut target = Target::find(arguments, project, talk)?;
    let ports = network::ports(&target.definition, arguments)?;
    if let Some(public) = &mut target.public {
        public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
    }
    let base = arguments.name.clone();
    let base = base.unwrap_or_else(|| run_name(&target.definition.family));
    let inside: Vec<u16> = ports.iter().map(|(_, inside)| *inside).collect();
    let copies = (1..=count).map(|number| {
        let name = format!("{base}-{number}");
        let folder = private_folder(project.root(), &format!("run/{name}"))?;
        Ok(Copy::new(number, name, folder))
    });
    let copies = copies.collect::<Result<Vec<_>, Failure>>()?;
    let cannot = |why: io::Error| Failure::Usage(format!("cannot start: {why}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(cannot)?;
    let service = Service {
        copies,
        ring: Arc::default(),
        inside,
        told: None,
        invited: false,
        code: 0,
    };
    let done = runtime.block_on(async {
        let _listening = listen(ports, &service.ring, talk)?;
        let invite = || ready::invite(&target, project, talk);
        Box::pin(service.live(invite, talk)).await
    });
    done.map_err(cannot)
}

struct Service {
    copies: Vec<Copy>,
    ring: Arc<Ring>,
    inside: Vec<u16>,
    /// What everybody was told last.
    told: Option<Word>,
    invited: bool,
    code: u8,
}

impl Service {
    async fn live(mut self, invite: impl Fn(), talk: &Talk) -> io::Result<u8> {
        let mut signals = Signals::new()?;
        loop {
            for at in 0..self.copies.len() {
                self.look(at, talk)?;
            }
            if !self.invited && self.copies.iter().all(|one| one.ready) {
                self.invited = true;
                invite();
            }
            if self.told.is_some() && self.copies.iter().all(|one| one.child.is_none()) {
                return Ok(self.code);
            }
            tokio::select! {
                () = signals.next() => {
                    let word = self.told.map_or(Word::Stop, |_| Word::Kill);
                    self.tell(word);
                }
                () = sleep(LOOK) => {}
            }
        }
    }

    fn tell(&mut self, word: Word) {
        self.told = Some(word);
        if word == Word::Kill {
            self.code = KILLED;
        }
        for one in &mut self.copies {
            if one.child.is_some() && say(&one.folder, word).is_err() {
                // It has no door yet: the end of its input says the same as soon as it has one.
                one.child.as_mut().and_then(|child| child.stdin.take());
            }
        }
    }

    fn look(&mut self, at: usize, talk: &Talk) -> io::Result<()> {
        let copy = &mut self.copies[at];
        let Some(child) = &mut copy.child else {
            if self.told.is_none() && copy.start_at <= Instant::now() {
                copy.start(&self.inside)?;
            }
            return Ok(());
        };
        if let Some(status) = child.try_wait()? {
            let code = status.code().unwrap_or(1);
            (copy.child, copy.ready) = (None, std::mem::take(&mut copy.ready));
            self.ring.leave(copy.number);
            let begun = copy.folder.join(TASK).exists();
            if self.told.is_some() {
                let code = u8::try_from(code).unwrap_or(1);
                self.code = self.code.max(if code == STOPPED { 0 } else { code });
            } else if !begun && (NOT_BEGUN..=NOT_FOUND).contains(&code) {
                // What is wrong is wrong with all of them.
                self.tell(Word::Stop);
                self.code = u8::try_from(code).unwrap_or(1);
            } else {
                copy.failures = if copy.ready { 0 } else { copy.failures + 1 };
                let pause = Duration::from_secs((1 << copy.failures.min(6)) - 1);
                copy.start_at = Instant::now() + pause;
                let number = copy.number;
                let when = if pause.is_zero() {
                    String::new()
                } else {
                    format!(" in {} s", pause.as_secs())
                };
                talk.say(&format!(
                    "task {number} ended with {code}; another one takes its place{when}"
                ));
            }
            self.copies[at].ready = false;
        } else if !copy.ready
            && let Some(ports) = copy.ports()
        {
            copy.ready = true;
            talk.say(&format!("task {} takes part", copy.number));
            self.ring.join(copy.number, ports);
        }
        Ok(())
    }
}

const NUMBER: &str = "ASSEMBLE_TASK";
const LOOK: Duration = Duration::from_millis(100);
const NOT_BEGUN: i32 = 125;
const NOT_FOUND: i32 = 127;
const STOPPED: u8 = 130;
const KILLED: u8 = 137;
