//! `assemble logs`: what the containers of a task have printed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::runs::Run;
use super::up::is_alive;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Of whom.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One container; all of them, with their names before the lines, when left out.
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,
    /// The run, or the beginning of its name; the newest one when left out.
    #[arg(long, value_name = "TASK")]
    task: Option<String>,
    /// Goes on as they print more, until the task ends.
    #[arg(long, short)]
    follow: bool,
}

/// Prints the lines, those of several containers in the order in which they came.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let run = match &arguments.task {
        Some(name) => Run::named(name, project)?,
        None => (Run::all(project).into_iter().next())
            .ok_or_else(|| Failure::Usage("nothing has run here".to_owned()))?,
    };

    let mut logs = logs(arguments, &run)?;
    loop {
        // Asked before reading: whatever was printed before the end is read then.
        let goes_on = arguments.follow && is_alive(&run.folder);
        for log in &mut logs {
            log.print(talk);
        }

        if !goes_on {
            break;
        }
        sleep(PAUSE);
    }

    Ok(0)
}

fn logs(arguments: &Arguments, run: &Run) -> Result<Vec<Log>, Failure> {
    let names = run.task["containers"].as_array().into_iter().flatten();
    let names: Vec<_> = names.filter_map(|one| one["name"].as_str()).collect();
    if let Some(name) = &arguments.container {
        if !names.contains(&name.as_str()) {
            let words = format!(
                "`{}` has no container `{name}`; it has {}",
                run.name,
                names.join(", ")
            );
            return Err(Failure::Usage(words));
        }
        return Ok(vec![Log::new(
            run.folder.join(format!("{name}.log")),
            Lines::One,
        )]);
    }

    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();

    Ok(vec![Log::new(
        run.folder.join("output.jsonl"),
        Lines::All(width),
    )])
}

/// What is in a file.
#[derive(Debug, Clone, Copy)]
enum Lines {
    /// The lines of one container.
    One,
    /// Those of all, with room for the longest name.
    All(usize),
}

impl Lines {
    fn shown(self, line: &str) -> String {
        let Self::All(width) = self else {
            return format!("{line}\n");
        };
        // The runner writes whole objects only; a full disk may have cut one.
        let one: Value = serde_json::from_str(line).unwrap_or_default();
        let (name, text) = (one["container"].as_str(), one["line"].as_str());
        let (name, text) = (name.unwrap_or("?"), text.unwrap_or(line));
        format!("{name:width$} | {text}\n")
    }
}

/// A file, as far as it has been read.
struct Log {
    file: PathBuf,
    lines: Lines,
    read: u64,
    rest: String,
}

impl Log {
    fn new(file: PathBuf, lines: Lines) -> Self {
        Self {
            file,
            lines,
            read: 0,
            rest: String::new(),
        }
    }

    /// Prints the whole lines that are new. A file that has become shorter is another one.
    fn print(&mut self, talk: &Talk) {
        let Ok(mut file) = File::open(&self.file) else {
            return;
        };
        let length = file.metadata().map_or(0, |data| data.len());

        if length < self.read {
            self.read = 0;
        }

        let mut bytes = Vec::new();
        let new = file
            .seek(SeekFrom::Start(self.read))
            .and_then(|_| file.read_to_end(&mut bytes));
        let Ok(count) = new else {
            return;
        };

        self.read += count as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let whole = self.rest.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.rest.split_off(whole);
        let lines = std::mem::replace(&mut self.rest, rest);
        let lines = lines.lines().map(|line| self.lines.shown(line));
        talk.data(&lines.collect::<String>());
    }
}

const PAUSE: Duration = Duration::from_millis(100);
