//! `assemble logs`: what the containers of a task have printed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;

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

/// Prints the lines, container by container.
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
        return Ok(vec![Log::new(run, name, String::new())]);
    }
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    let prefixed = names
        .iter()
        .map(|name| Log::new(run, name, format!("{name:width$} | ")));
    Ok(prefixed.collect())
}

/// One container's file, as far as it has been read.
struct Log {
    file: PathBuf,
    prefix: String,
    read: u64,
    rest: String,
}

impl Log {
    fn new(run: &Run, container: &str, prefix: String) -> Self {
        let file = run.folder.join(format!("{container}.log"));
        Self {
            file,
            prefix,
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
        let lines = lines.lines().map(|line| format!("{}{line}\n", self.prefix));
        talk.data(&lines.collect::<String>());
    }
}

const PAUSE: Duration = Duration::from_millis(100);
