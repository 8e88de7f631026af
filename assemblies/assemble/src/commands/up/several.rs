//! `up --count N`: as many tasks of one assembly as a service would have, behind one listener for each port.
//!
//! Each task is `assemble up` again, with a name and ports of its own. A task that ends is replaced, as by a
//! service: at once if it had been ready, ever later if it never was.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener as Bound};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use task_runner::sandbox::{Border, Forward, Traffic, carry};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::door::{Word, say};
use super::keep::{READY, TASK};
use super::life::Signals;
use super::target::Target;
use super::{Arguments, network, ready, run_name};
use crate::dev_keys::private_folder;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

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

/// One of the tasks.
struct Copy {
    number: u8,
    name: String,
    folder: PathBuf,
    child: Option<Child>,
    start_at: Instant,
    ready: bool,
    /// How often in a row it ended without having been ready.
    failures: u32,
}

impl Copy {
    fn new(number: u8, name: String, folder: PathBuf) -> Self {
        Self {
            number,
            name,
            folder,
            child: None,
            start_at: Instant::now(),
            ready: false,
            failures: 0,
        }
    }

    fn start(&mut self, inside: &[u16]) -> io::Result<()> {
        for old in [READY, TASK] {
            let _ = fs::remove_file(self.folder.join(old));
        }
        let mut command = Command::new(env::current_exe()?);
        command.args(own_words(env::args_os().skip(1)));
        command.args(["--name", &self.name]);
        for port in inside {
            command.args(["--publish", &format!("0:{port}")]);
        }
        // Ctrl-C at a terminal is ours; that we are gone it hears by its input.
        command.env(NUMBER, self.number.to_string());
        command.stdin(Stdio::piped()).process_group(0);
        self.ready = false;
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Where each port of the task is, once it is ready.
    fn ports(&self) -> Option<BTreeMap<u16, u16>> {
        if !self.folder.join(READY).exists() {
            return None;
        }
        let text = fs::read(self.folder.join(TASK)).ok()?;
        let said: Value = serde_json::from_slice(&text).ok()?;
        let containers = said["tasks"][0]["containers"].as_array()?.iter();
        let bound = containers.filter_map(|one| one["networkBindings"].as_array());
        let port = |one: &Value, name: &str| u16::try_from(one[name].as_u64()?).ok();
        let pair = |one| Some((port(one, "containerPort")?, port(one, "hostPort")?));
        Some(bound.flatten().filter_map(pair).collect())
    }
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

/// Those who take part, by number, with their ports.
#[derive(Debug, Default)]
struct Ring {
    members: Mutex<BTreeMap<u8, BTreeMap<u16, u16>>>,
    next: AtomicUsize,
}

impl Ring {
    fn join(&self, number: u8, ports: BTreeMap<u16, u16>) {
        self.lock().insert(number, ports);
    }

    fn leave(&self, number: u8) {
        self.lock().remove(&number);
    }

    /// Where a port is, whoever's turn it is first.
    fn turn(&self, inside: u16) -> Vec<u16> {
        let members = self.lock();
        let mut all: Vec<u16> = members
            .values()
            .filter_map(|ports| ports.get(&inside).copied())
            .collect();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let first = first.checked_rem(all.len()).unwrap_or(0);
        all.rotate_left(first);
        all
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u8, BTreeMap<u16, u16>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each connection goes to the next task, or to the one after it where that one does not take it.
fn listen(ports: Vec<(Bound, u16)>, ring: &Arc<Ring>, talk: &Talk) -> io::Result<Vec<Forward>> {
    let mut all = Vec::new();
    for (listener, inside) in ports {
        listener.set_nonblocking(true)?;
        let outside = listener.local_addr()?;
        talk.say(&format!("port {inside} of the tasks is {outside} here"));
        let border = Border {
            traffic: Traffic::Ingress,
            port: inside,
            faults: Arc::default(),
        };
        let ring = Arc::clone(ring);
        let connect = move || {
            let turn = ring.turn(inside);
            async move {
                let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
                for port in turn {
                    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                        Ok(called) => return Ok(called),
                        Err(why) => last = why,
                    }
                }
                Err(last)
            }
        };
        all.push(carry(TcpListener::from_std(listener)?, border, connect));
    }
    Ok(all)
}

/// The command line of one task: all but what is for the whole.
fn own_words(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut words) = (Vec::new(), words);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if ["--count", "--name", "--publish", "-p"].contains(&&*text) {
            words.next();
            continue;
        }
        let starts = |start: &&str| text.starts_with(*start);
        let short = text.starts_with("-p") && !text.starts_with("--");
        let is_ours = ["--count=", "--name=", "--publish="].iter().any(starts);
        if !is_ours && !short && text != "--bind-all" {
            kept.push(word);
        }
    }
    kept
}

const NUMBER: &str = "ASSEMBLE_TASK";
const LOOK: Duration = Duration::from_millis(100);
const NOT_BEGUN: i32 = 125;
const NOT_FOUND: i32 = 127;
const STOPPED: u8 = 130;
const KILLED: u8 = 137;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round_and_leave_out_who_is_gone() {
        let ring = Ring::default();
        assert!(ring.turn(80).is_empty());
        for (number, port) in [(1, 1001), (2, 1002), (3, 1003)] {
            ring.join(number, [(80, port)].into());
        }
        let first = |_| ring.turn(80)[0];
        let mut seen: Vec<u16> = (0..3).map(first).collect();
        seen.sort_unstable();
        assert_eq!(seen, [1001, 1002, 1003]);
        ring.leave(2);
        assert!((0..4).all(|_| !ring.turn(80).contains(&1002)));
        assert!(ring.turn(443).is_empty());
    }

    #[test]
    fn a_task_is_told_all_but_what_is_for_the_whole() {
        let words = "up shop --count 3 -p 0:80 -p81:80 --name=x --env A=b --bind-all";
        let kept = own_words(words.split(' ').map(OsString::from));
        assert_eq!(kept, ["up", "shop", "--env", "A=b"]);
    }
}
