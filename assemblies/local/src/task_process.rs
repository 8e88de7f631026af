//! A task in a separate process: another process of this program, which runs `up` for one task.
//!
//! The caller communicates with it through its run directory and its stdin: `task.json` has its state, the control
//! socket takes commands, and the end of its stdin means that the caller is gone, upon which it stops.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use serde_json::Value;
use task_runner::metadata::{read_protection, write_protection};
use tokio::process::{Child, Command};

use crate::control_socket::{ControlCommand, send};
use crate::role::Role;
use crate::run_dir::{PROTECTION, READY, TASK};
use crate::run_folder::free_folder;
use crate::{Error, Project, TaskIdentity};

/// A running process.
#[derive(Debug)]
pub struct TaskProcess {
    folder: PathBuf,
    child: Child,
    output: Option<JoinHandle<()>>,
}

/// Where the output of a process goes.
#[expect(missing_debug_implementations, reason = "a writer has none")]
pub enum ProcessOutput {
    /// To the output of this process.
    Inherit,
    /// Complete lines of stdout to a writer, stderr to that of this process.
    Lines(Box<dyn Write + Send>),
    /// Both to a file.
    File(File),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessExit {
    /// Its exit code; 1 if a signal killed it.
    pub code: i32,
    /// Whether its task was created.
    pub started: bool,
}

impl TaskProcess {
    /// Starts `executable` with the arguments of `up` for the run directory. Must be called in a runtime.
    pub fn start(
        executable: &Path,
        arguments: Vec<OsString>,
        folder: &Path,
        output: ProcessOutput,
    ) -> io::Result<Self> {
        // Left over from an earlier run with the same name; they must not be taken for this one's.
        for file in [READY, TASK, PASSED, PROTECTION] {
            let _ = fs::remove_file(folder.join(file));
        }

        let mut command = Command::new(executable);
        command.args(arguments);
        // Ctrl-C goes to the caller only. The process notices the end of the caller by the end of its stdin.
        command.stdin(Stdio::piped()).process_group(0);

        // Only lines are copied by this process; a file is written by the child.
        let mut thread = None;
        match output {
            ProcessOutput::Inherit => {}
            ProcessOutput::Lines(writer) => {
                let (reader, end) = io::pipe()?;
                command.stdout(end);
                thread = Some(thread::spawn(move || copy_lines(reader, writer)));
            }
            ProcessOutput::File(file) => {
                command.stdout(file.try_clone()?).stderr(file);
            }
        }

        Ok(Self {
            folder: folder.to_owned(),
            child: command.spawn()?,
            output: thread,
        })
    }

    /// Returns how the process ended, or `None` while it runs.
    pub fn try_wait(&mut self) -> io::Result<Option<ProcessExit>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        Ok(Some(ProcessExit {
            code: status.code().unwrap_or(1),
            started: self.folder.join(TASK).exists(),
        }))
    }

    /// Returns the task as DescribeTasks does, or `None` before it is created.
    pub fn task(&self) -> Option<Value> {
        let text = fs::read(self.folder.join(TASK)).ok()?;
        let mut response: Value = serde_json::from_slice(&text).ok()?;
        Some(response["tasks"][0].take())
    }

    /// Returns until when the task is protected from scaling in, in whole seconds. Its containers change it through
    /// the endpoint in the task.
    pub fn protected_until(&self) -> Option<SystemTime> {
        read_protection(&self.folder.join(PROTECTION))
    }

    /// Protects the task, or ends its protection; the endpoint in the task returns it.
    pub fn set_protection(&self, until: Option<SystemTime>) -> io::Result<()> {
        write_protection(&self.folder.join(PROTECTION), until)
    }

    /// Returns whether the task is RUNNING, and HEALTHY if it has a health check.
    pub fn is_ready(&self) -> bool {
        self.folder.join(READY).exists()
    }

    /// Returns whether all containers of the task have been ready.
    pub(crate) fn has_passed(&self) -> bool {
        self.folder.join(PASSED).exists()
    }

    /// Sends a command. Returns whether the process received it through its control socket.
    pub fn send(&mut self, command: ControlCommand) -> bool {
        let is_sent = send(&self.folder, command).is_ok();
        if !is_sent {
            // It has no socket yet. Closing its stdin stops it as soon as it looks there.
            self.child.stdin.take();
        }
        is_sent
    }

    /// Kills the process, which ends its containers with it.
    pub fn kill(&mut self) {
        // It fails only if the process has ended.
        let _ = self.child.start_kill();
    }

    /// Takes the thread that copies the output; it ends once all output of an exited process has been copied.
    pub(crate) fn take_output(&mut self) -> Option<JoinHandle<()>> {
        self.output.take()
    }
}

/// Creates the run directory of a task, unless a run with this name is running.
pub fn create_run_folder(name: &str, project: &Project) -> Result<PathBuf, Error> {
    free_folder(name, project)
}

/// Returns the arguments that run a task definition as a task with an identity.
///
/// `options` are further options of `up`.
pub fn task_arguments(
    project: &Project,
    definition: &Path,
    name: &str,
    identity: &TaskIdentity,
    options: &[OsString],
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--project".into(), project.root().into(), "up".into()];
    arguments.push(format!("--name={name}").into());
    arguments.push(format!("--{}={identity}", Role::TASK).into());
    arguments.extend(options.iter().cloned());
    arguments.extend(["--".into(), definition.into()]);
    arguments
}

/// Records that all containers of the task in this run directory are ready.
pub(crate) fn mark_passed(folder: &Path) {
    let _ = fs::write(folder.join(PASSED), "");
}

/// Copies complete lines, each with one write, so that lines of several processes never mix. A line without an end
/// is dropped.
fn copy_lines(reader: PipeReader, mut results: Box<dyn Write + Send>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        if results.write_all(&line).is_err() {
            // Stdout is closed; the run directories still have everything.
            return;
        }
        line.clear();
    }
}

/// Exists once all containers of the task have been ready.
const PASSED: &str = "passed";
