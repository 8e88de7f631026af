//! One of several tasks: `assemble up` again, with a name and ports of its own.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::NUMBER;
use crate::commands::up::keep::{READY, TASK};

/// One of the tasks.
pub(super) struct Copy {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) child: Option<Child>,
    pub(super) start_at: Instant,
    pub(super) ready: bool,
    /// How often in a row it ended without having been ready.
    pub(super) failures: u32,
}

impl Copy {
    /// Nothing runs yet.
    pub(super) fn new(number: u8, name: String, folder: PathBuf) -> Self {
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

    /// Starts it, with ports of its own.
    pub(super) fn start(&mut self, inside: &[u16]) -> io::Result<()> {
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
    pub(super) fn ports(&self) -> Option<BTreeMap<u16, u16>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_told_all_but_what_is_for_the_whole() {
        let words = "up shop --count 3 -p 0:80 -p81:80 --name=x --env A=b --bind-all";
        let kept = own_words(words.split(' ').map(OsString::from));
        assert_eq!(kept, ["up", "shop", "--env", "A=b"]);
    }
}
