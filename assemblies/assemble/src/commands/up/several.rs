//! `up --count N`: as many tasks of one assembly as a service would have, behind one listener for each port.
//!
//! Each task is `assemble up` again, with a name and ports of its own. A task that ends is replaced, as by a
//! service: at once if it had been ready, ever later if it never was. One that is UNHEALTHY is stopped for it.
//!
//! | file | is |
//! |---|---|
//! | `copy` | one of the tasks: started, looked at, told to stop |
//! | `goal` | what somebody wants of all of them, and by when |
//! | `ring` | the listeners, and whose turn it is |
//! | `record` | what `ps` and `stop` know of the service |

use std::env;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use super::door::{Door, Word, say};
use super::life::Signals;
use super::target::Target;
use super::{Arguments, called, claim, free_folder, network, ready};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod copy;
mod goal;
mod record;
mod ring;

use copy::{Copy, News, Part};
use goal::Goal;
use record::Record;
pub(crate) use record::SERVICE;
use ring::{Ring, listen};

/// The number of this task among several.
pub(super) fn number() -> Option<String> {
    env::var(NUMBER).ok()
}

/// The run of the service, where this task, whose run has this name, is one of several.
pub(super) fn service_of(name: &str) -> Option<String> {
    let service = name.strip_suffix(&format!("-{}", number()?))?;
    Some(service.to_owned())
}

/// A task among several ends in order when the one who started it is gone.
pub(super) fn end_with_the_service(folder: &Path) {
    let folder = folder.to_owned();
    thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        let _ = say(&folder, Word::Stop);
    });
}

pub(super) use copy::prove;

/// Runs them until somebody has enough. The code is 0 when all ended well then.
pub(super) fn run(
    count: u8,
    arguments: &Arguments,
    project: &Project,
    talk: &Talk,
) -> Result<u8, Failure> {
    let mut target = Target::find(arguments, project, talk)?;
    let name = called(arguments, &target.definition.family);
    let folder = free_folder(&name, project)?;
    let _claim = claim(&folder, &name)?;
    let copies = (1..=count).map(|number| {
        let name = format!("{name}-{number}");
        let folder = free_folder(&name, project)?;
        Ok(Copy::new(number, name, folder))
    });
    let copies = copies.collect::<Result<Vec<_>, Failure>>()?;

    let ports = network::ports(&target.definition, arguments)?;
    if let Some(public) = &mut target.public {
        public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
    }

    let inside: Vec<u16> = ports.iter().map(|(_, inside)| *inside).collect();
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
        goal: Goal::new(arguments),
        record: Record::new(
            &folder,
            &target.definition.family,
            count,
            &network::bindings(&ports),
        ),
        told: None,
        steady: false,
        code: 0,
    };

    let show = Show {
        json: arguments.json,
        talk,
        invite: &|| ready::invite(&target, project, talk),
    };
    let done = runtime.block_on(async {
        // Whoever finds somebody behind the door may count on the record.
        service.note();
        let door = Door::open(&folder);
        let _listening = listen(ports, &service.ring, talk)?;
        Box::pin(service.live(&door, &show)).await
    });

    done.map_err(cannot)
}

/// Who hears what becomes of the service.
struct Show<'a> {
    json: bool,
    talk: &'a Talk,
    invite: &'a dyn Fn(),
}

struct Service {
    copies: Vec<Copy>,
    ring: Arc<Ring>,
    inside: Vec<u16>,
    goal: Goal,
    record: Record,
    /// What everybody was told last.
    told: Option<Word>,
    /// All took part at once, at least for a moment.
    steady: bool,
    code: u8,
}

impl Service {
    async fn live(mut self, door: &Door, show: &Show<'_>) -> io::Result<u8> {
        let mut signals = Signals::new()?;
        // Kept from look to look, so that nobody is hung up on in the middle of a word.
        let knock = door.next();
        tokio::pin!(knock);

        loop {
            for at in 0..self.copies.len() {
                self.look(at, show)?;
            }
            self.judge(show);
            self.note();

            if self.told.is_some() && self.copies.iter().all(Copy::is_gone) {
                self.copies.iter_mut().for_each(Copy::hear_out);
                return Ok(self.goal.code(self.code));
            }

            tokio::select! {
                () = signals.next() => {
                    let word = self.told.map_or(Word::Stop, |_| Word::Kill);
                    self.tell(word);
                }
                word = &mut knock => {
                    knock.set(door.next());
                    if word == Word::Kill || (word == Word::Stop && self.told.is_none()) {
                        self.tell(word);
                    }
                }
                () = self.goal.late(), if self.told.is_none() => {
                    show.talk.say("the time given is over");
                    self.goal.miss();
                    self.tell(Word::Stop);
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
        self.copies.iter_mut().for_each(|one| one.tell(word));
    }

    fn look(&mut self, at: usize, show: &Show) -> io::Result<()> {
        let copy = &mut self.copies[at];
        let number = copy.number;
        match copy.news()? {
            News::Due if self.told.is_none() => copy.start(&self.inside, show.json)?,
            News::Ready(ports) if self.told.is_none() => {
                show.talk.say(&format!("task {number} takes part"));
                self.ring.join(number, ports);
            }
            News::Stopping => self.ring.leave(number),
            News::Unhealthy => {
                self.ring.leave(number);
                if self.told.is_none() && copy.dismiss() {
                    show.talk
                        .say(&format!("task {number} is UNHEALTHY and is stopped"));
                }
            }
            News::Ended { code, begun } => {
                self.ring.leave(number);
                self.ended(at, code, begun, show);
            }
            News::Due | News::Ready(_) | News::Nothing => {}
        }

        Ok(())
    }

    fn ended(&mut self, at: usize, code: i32, begun: bool, show: &Show) {
        let short = u8::try_from(code).unwrap_or(1);
        if self.told.is_some() {
            self.code = self.code.max(if short == STOPPED { 0 } else { short });
            return;
        }

        if !begun && (NOT_BEGUN..=NOT_FOUND).contains(&code) {
            // What is wrong is wrong with all of them.
            self.tell(Word::Stop);
            self.code = short;
            return;
        }

        let copy = &mut self.copies[at];
        let (number, pause) = (copy.number, copy.pause());
        if !self.steady && self.goal.is_waited_for() && copy.failures >= BREAKER {
            show.talk.say(&format!(
                "task {number} ended with {code}, as {BREAKER} times in a row before it was ready: nothing to wait for"
            ));
            self.tell(Word::Stop);
            self.code = short.max(1);
            return;
        }

        let when = if pause.is_zero() {
            String::new()
        } else {
            format!(" in {} s", pause.as_secs())
        };

        show.talk.say(&format!(
            "task {number} ended with {code}; another one takes its place{when}"
        ));
    }

    /// Says once that all take part, and ends what was only to be tried.
    fn judge(&mut self, show: &Show) {
        if self.told.is_some() {
            return;
        }
        if !self.steady && self.copies.iter().all(|one| one.part == Part::Takes) {
            self.steady = true;
            self.record.ready();
            if !show.json && !self.goal.is_a_trial() {
                (show.invite)();
            }
        }

        if self.goal.is_a_trial() && self.copies.iter().all(Copy::is_proved) {
            show.talk.say("all tasks were ready");
            self.tell(Word::Stop);
        }
    }

    fn note(&self) {
        let count = |part| self.copies.iter().filter(|one| one.part == part).count();
        let alive = self.copies.iter().filter(|one| !one.is_gone()).count();
        let running = count(Part::Takes);
        self.record.write(self.told, running, alive - running);
    }
}

const NUMBER: &str = "ASSEMBLE_TASK";
const LOOK: Duration = Duration::from_millis(100);
const NOT_BEGUN: i32 = 125;
const NOT_FOUND: i32 = 127;
const STOPPED: u8 = 130;
const KILLED: u8 = 137;
/// As with the least of ECS's deployment circuit breaker.
const BREAKER: u32 = 3;
