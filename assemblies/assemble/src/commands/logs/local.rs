//! The output of a local task, from its run directory.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use local::is_alive;
use serde_json::Value;

use super::Arguments;
use crate::commands::runs::Run;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Prints the lines. Those of several containers come in the order in which they were written.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let run = match &arguments.task {
        Some(name) => Run::find(name, project)?,
        None => (Run::all(project).into_iter().next())
            .ok_or_else(|| CliError::Usage("no task has run in this project".to_owned()))?,
    };

    let mut logs = logs(arguments, &run)?;
    loop {
        // Checked before reading: lines written before the task ended are still printed.
        let keep_following = arguments.follow && is_alive(&run.folder);
        for log in &mut logs {
            log.print(ui);
        }

        if !keep_following {
            break;
        }
        sleep(POLL_INTERVAL);
    }

    Ok(0)
}

fn logs(arguments: &Arguments, run: &Run) -> Result<Vec<Log>, CliError> {
    let containers = run.task["containers"].as_array().into_iter().flatten();
    let names: Vec<_> = containers
        .filter_map(|container| container["name"].as_str())
        .collect();
    if let Some(name) = &arguments.container {
        if !names.contains(&name.as_str()) {
            let message = format!(
                "`{}` has no container `{name}`; it has {}",
                run.name,
                names.join(", ")
            );
            return Err(CliError::Usage(message));
        }
        return Ok(vec![Log::new(
            run.folder.join(format!("{name}.log")),
            LogFormat::Plain,
        )]);
    }

    // Names are padded, so that the lines of all containers align.
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();

    Ok(vec![Log::new(
        run.folder.join("output.jsonl"),
        LogFormat::Prefixed(width),
    )])
}

/// The format of a log file.
#[derive(Debug, Clone, Copy)]
enum LogFormat {
    /// The lines of one container.
    Plain,
    /// JSON lines of all containers; the number is the width of the longest name.
    Prefixed(usize),
}

impl LogFormat {
    fn format_line(self, line: &str) -> String {
        let Self::Prefixed(width) = self else {
            return format!("{line}\n");
        };
        // Only whole objects are written, but a full disk may have cut one.
        let entry: Value = serde_json::from_str(line).unwrap_or_default();
        let (name, text) = (entry["container"].as_str(), entry["line"].as_str());
        let (name, text) = (name.unwrap_or("?"), text.unwrap_or(line));
        format!("{name:width$} | {text}\n")
    }
}

/// A log file and how far it has been printed.
struct Log {
    file: PathBuf,
    format: LogFormat,
    offset: u64,
    /// The start of a line that is not complete yet.
    incomplete: String,
}

impl Log {
    fn new(file: PathBuf, format: LogFormat) -> Self {
        Self {
            file,
            format,
            offset: 0,
            incomplete: String::new(),
        }
    }

    /// Prints new complete lines. A file that has become shorter was rotated and is read from its start.
    fn print(&mut self, ui: &Ui) {
        let Ok(mut file) = File::open(&self.file) else {
            return;
        };
        let length = file.metadata().map_or(0, |data| data.len());

        if length < self.offset {
            self.offset = 0;
        }

        let mut bytes = Vec::new();
        let new = file
            .seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.read_to_end(&mut bytes));
        let Ok(count) = new else {
            return;
        };

        self.offset += count as u64;
        self.incomplete.push_str(&String::from_utf8_lossy(&bytes));
        // A container may write a line in several pieces; only complete lines are printed.
        let whole = self.incomplete.rfind('\n').map_or(0, |at| at + 1);
        let incomplete = self.incomplete.split_off(whole);
        let complete = std::mem::replace(&mut self.incomplete, incomplete);
        let lines = complete.lines().map(|line| self.format.format_line(line));
        ui.data(&lines.collect::<String>());
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(100);
