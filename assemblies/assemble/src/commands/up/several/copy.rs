//! One of several tasks: `assemble up` again, with a name and ports of its own.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use super::NUMBER;
use crate::commands::up::detach;
use crate::commands::up::door::{Word, say};
use crate::commands::up::keep::{READY, TASK};

/// One of the tasks.
pub(super) struct Copy {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) part: Part,
    /// How often in a row it ended without having been ready.
    pub(super) failures: u32,
    child: Option<Child>,
    start_at: Instant,
    /// Whether it has taken part since it was started.
    was_ready: bool,
    /// Who passes on what it says, now and before.
    speakers: Vec<JoinHandle<()>>,
}

/// What a task does for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is not ready yet, or not there.
    Waits,
    /// Its turn comes.
    Takes,
    /// It is on its way out.
    Leaves,
}

/// What has become of a task since the last look.
pub(super) enum News {
    Nothing,
    /// It is time to start it.
    Due,
    /// It is RUNNING, and HEALTHY where it has a check; its ports are here.
    Ready(BTreeMap<u16, u16>),
    /// Somebody stops it.
    Stopping,
    /// Its checks have failed.
    Unhealthy,
    Ended {
        code: i32,
        /// It came as far as to have a task.
        begun: bool,
    },
}

impl Copy {
    /// Nothing runs yet.
    pub(super) fn new(number: u8, name: String, folder: PathBuf) -> Self {
        Self {
            number,
            name,
            folder,
            part: Part::Waits,
            failures: 0,
            child: None,
            start_at: Instant::now(),
            was_ready: false,
            speakers: Vec::new(),
        }
    }

    /// Starts it, with ports of its own.
    pub(super) fn start(&mut self, inside: &[u16], json: bool) -> io::Result<()> {
        for old in [READY, TASK, PROVED] {
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
        command.env_remove(detach::NAME);
        command.stdin(Stdio::piped()).process_group(0);

        if json {
            let (said, say) = io::pipe()?;
            command.stdout(say);
            self.speakers.retain(|one| !one.is_finished());
            self.speakers.push(thread::spawn(move || pass_on(said)));
        }

        (self.part, self.was_ready) = (Part::Waits, false);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Looks at it.
    pub(super) fn news(&mut self) -> io::Result<News> {
        let Some(child) = &mut self.child else {
            let due = self.start_at <= Instant::now();
            return Ok(if due { News::Due } else { News::Nothing });
        };

        if let Some(status) = child.try_wait()? {
            (self.child, self.part) = (None, Part::Waits);
            let begun = self.folder.join(TASK).exists();
            let code = status.code().unwrap_or(1);
            return Ok(News::Ended { code, begun });
        }

        if self.part == Part::Leaves {
            return Ok(News::Nothing);
        }
        let Some(task) = self.task() else {
            return Ok(News::Nothing);
        };

        if task["desiredStatus"] == "STOPPED" {
            self.part = Part::Leaves;
            return Ok(News::Stopping);
        }

        if task["healthStatus"] == "UNHEALTHY" {
            return Ok(News::Unhealthy);
        }
        if self.part == Part::Takes || !self.folder.join(READY).exists() {
            return Ok(News::Nothing);
        }

        (self.part, self.was_ready) = (Part::Takes, true);
        Ok(News::Ready(ports(&task)))
    }

    /// What DescribeTasks would say of it.
    fn task(&self) -> Option<Value> {
        let text = fs::read(self.folder.join(TASK)).ok()?;
        let mut said: Value = serde_json::from_slice(&text).ok()?;
        Some(said["tasks"][0].take())
    }

    /// Stops it, for it is UNHEALTHY; answers whether it has heard.
    pub(super) fn dismiss(&mut self) -> bool {
        let heard = say(&self.folder, Word::Unhealthy).is_ok();
        if heard {
            self.part = Part::Leaves;
        }
        heard
    }

    /// Says a word to it, if it is there.
    pub(super) fn tell(&mut self, word: Word) {
        if self.child.is_some() && say(&self.folder, word).is_err() {
            // It has no door yet: the end of its input says the same as soon as it has one.
            self.child.as_mut().and_then(|child| child.stdin.take());
        }
    }

    /// How long to wait before another one takes the place of the one that has ended.
    pub(super) fn pause(&mut self) -> Duration {
        self.failures = if self.was_ready { 0 } else { self.failures + 1 };
        let pause = Duration::from_secs((1 << self.failures.min(6)) - 1);
        self.start_at = Instant::now() + pause;
        pause
    }

    /// Whether nothing of it runs.
    pub(super) fn is_gone(&self) -> bool {
        self.child.is_none()
    }

    /// Whether everybody in it has said that he is ready.
    pub(super) fn is_proved(&self) -> bool {
        self.child.is_some() && self.folder.join(PROVED).exists()
    }

    /// Waits until all that it said has been passed on; it has ended before.
    pub(super) fn hear_out(&mut self) {
        for speaker in self.speakers.drain(..) {
            let _ = speaker.join();
        }
    }
}

/// Lets the service know that everybody in the task of this folder is ready.
pub(crate) fn prove(folder: &Path) {
    let _ = fs::write(folder.join(PROVED), "");
}

/// Passes on whole lines, each in one piece: those of several tasks never mix within a line, and one that
/// was cut short by an end is left out.
fn pass_on(said: PipeReader) {
    let mut said = BufReader::new(said);
    let mut line = Vec::new();
    while said.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        if stdout().lock().write_all(&line).is_err() {
            // Nobody listens any more; the files of the runs have everything.
            return;
        }
        line.clear();
    }
}

/// Where each port of the task is.
fn ports(task: &Value) -> BTreeMap<u16, u16> {
    let containers = task["containers"].as_array().into_iter().flatten();
    let bound = containers.filter_map(|one| one["networkBindings"].as_array());
    let port = |one: &Value, name: &str| u16::try_from(one[name].as_u64()?).ok();
    let pair = |one| Some((port(one, "containerPort")?, port(one, "hostPort")?));
    bound.flatten().filter_map(pair).collect()
}

/// The command line of one task: all but what is for the whole.
fn own_words(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut words) = (Vec::new(), words);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "-p" || WITH_VALUES.contains(&&*text) {
            words.next();
            continue;
        }

        let with_value = |name: &&str| {
            text.strip_prefix(*name)
                .is_some_and(|rest| rest.starts_with('='))
        };
        let short = text.starts_with("-p") && !text.starts_with("--");
        let is_ours = WITH_VALUES.iter().any(with_value) || ALONE.contains(&&*text);

        if !is_ours && !short {
            kept.push(word);
        }
    }

    kept
}

const WITH_VALUES: [&str; 4] = ["--count", "--name", "--publish", "--timeout"];
const ALONE: [&str; 4] = ["--bind-all", "--detach", "-d", "--wait"];
/// There once everybody in the task has said that he is ready.
const PROVED: &str = "proved";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_told_all_but_what_is_for_the_whole() {
        let words = "up shop --count 3 -p 0:80 -p81:80 --name=x --env A=b --bind-all -d --wait --timeout 3s --json";
        let kept = own_words(words.split(' ').map(OsString::from));
        assert_eq!(kept, ["up", "shop", "--env", "A=b", "--json"]);
    }
}
