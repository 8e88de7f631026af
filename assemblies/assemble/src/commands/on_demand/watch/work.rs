//! Runs tasks: `assemble up` for each, with retries, and a dead letter after the last one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use assembly::manifest::OnDemand;
use serde_json::{Value, json};

use super::Arguments;
use super::queue::{Job, Queue};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Runs tasks and counts the results.
#[derive(Debug)]
pub(super) struct Work {
    command: PathBuf,
    /// Arguments before those of a single task.
    base_arguments: Vec<String>,
    /// Pairs of `s3://bucket/` and the directory that replaces it.
    buckets: Vec<(String, String)>,
    output: PathBuf,
    dead_letters: PathBuf,
    retries: u32,
    succeeded: AtomicUsize,
    failed: AtomicUsize,
}

/// The result of one attempt.
struct Attempt {
    code: Option<i32>,
    /// The last lines on stderr.
    output: String,
}

impl Work {
    /// Creates the output directories.
    pub(super) fn new(
        arguments: &Arguments,
        name: &str,
        on_demand: &OnDemand,
        watched: &Path,
        project: &Project,
    ) -> Result<Self, CliError> {
        let own = project.root().join(".assemble/on-demand").join(name);
        let create = |chosen: &Option<PathBuf>, default_name: &str| {
            let folder = chosen.clone().unwrap_or_else(|| own.join(default_name));
            let created = fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
            created.map_err(|source| CliError::File {
                act: "create",
                path: folder,
                source,
            })
        };

        let output = create(&arguments.output, "output")?;
        let dead_letters = create(&arguments.dead_letters, "dead-letters")?;
        let bucket =
            |name: &str, folder: &Path| (format!("s3://{name}/"), format!("{}/", folder.display()));
        let mut buckets = vec![bucket(&on_demand.bucket, watched)];

        if let Some(other) = on_demand
            .output_bucket
            .as_ref()
            .filter(|bucket| **bucket != on_demand.bucket)
        {
            buckets.push(bucket(other, &output));
        }

        // Each task is a separate process, so that one that hangs or crashes affects no other.
        let command = env::current_exe().map_err(|source| CliError::File {
            act: "find",
            path: "assemble".into(),
            source,
        })?;

        Ok(Self {
            command,
            base_arguments: base_arguments(arguments, name, project),
            buckets,
            output,
            dead_letters,
            retries: arguments.retries,
            succeeded: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        })
    }

    /// Returns the output directory.
    pub(super) fn output(&self) -> &Path {
        &self.output
    }

    /// Returns whether a task failed every time.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
    }

    /// Formats the number of tasks that succeeded and failed.
    pub(super) fn total(&self) -> String {
        let (succeeded, failed) = (
            self.succeeded.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        );
        let tasks = if succeeded == 1 {
            "1 task"
        } else {
            &format!("{succeeded} tasks")
        };

        match failed {
            0 => format!("{tasks} succeeded, none failed"),
            count => format!(
                "{tasks} succeeded, {count} failed: see {}",
                self.dead_letters.display()
            ),
        }
    }

    /// Runs jobs until the queue is closed.
    pub(super) fn process(&self, queue: &Queue, ui: &Ui) {
        while let Some(job) = queue.take() {
            self.run_with_retries(&job, ui);
            queue.finish();
        }
    }

    fn run_with_retries(&self, job: &Job, ui: &Ui) {
        let mut attempts = Vec::new();
        for attempt in 0..=self.retries {
            // The pause grows with each retry, for a cause that needs time to go away.
            if attempt > 0 {
                thread::sleep(BACK_OFF * attempt);
            }

            let start = Instant::now();
            let result = self.run(job);
            let took = start.elapsed().as_secs_f32();

            if result.code == Some(0) {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                return ui.message(&format!("{}: succeeded in {took:.1} s", job.key));
            }

            let code = result
                .code
                .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            ui.message(&format!(
                "{}: attempt {} failed after {took:.1} s with {code}",
                job.key,
                attempt + 1
            ));
            attempts.push(result);
        }

        self.failed.fetch_add(1, Ordering::Relaxed);
        match self.write_dead_letter(job, &attempts) {
            Ok(letter) => ui.message(&format!("{}: gave up; {}", job.key, letter.display())),
            Err(failure) => ui.error(&failure),
        }
    }

    /// Runs a task with `up`. URLs of the replaced buckets become paths.
    fn run(&self, job: &Job) -> Attempt {
        let mut command = Command::new(&self.command);
        command.args(&self.base_arguments);
        for (name, value) in &job.start.variables {
            let value = self.replace_bucket(value);
            if let Some(folder) = Path::new(&value)
                .parent()
                .filter(|folder| folder.starts_with(&self.output))
            {
                // A bucket has no directories, so a task does not create them. If this fails, the task reports it.
                let _ = fs::create_dir_all(folder);
            }

            command
                .arg("--env")
                .arg(format!("{}:{name}={value}", job.start.container));
        }

        match command.output() {
            Ok(output) => Attempt {
                code: output.status.code(),
                output: last_lines(&String::from_utf8_lossy(&output.stderr)),
            },
            Err(error) => Attempt {
                code: None,
                output: error.to_string(),
            },
        }
    }

    fn replace_bucket(&self, value: &str) -> String {
        let mut buckets = self.buckets.iter();
        let found = buckets
            .find_map(|(bucket, folder)| Some(format!("{folder}{}", value.strip_prefix(bucket)?)));
        found.unwrap_or_else(|| value.to_owned())
    }

    /// Writes the event and the attempts, so that the event can be delivered again.
    fn write_dead_letter(&self, job: &Job, attempts: &[Attempt]) -> Result<PathBuf, CliError> {
        let attempts: Value = attempts
            .iter()
            .map(|attempt| json!({ "exitCode": attempt.code, "output": attempt.output }))
            .collect();
        let letter =
            json!({ "event": job.event, "overrides": job.start.overrides, "attempts": attempts });
        let id = job.event["id"].as_str().unwrap_or_default();
        let file = self.dead_letters.join(format!("{id}.json"));

        fs::write(&file, format!("{letter:#}\n")).map_err(|source| CliError::File {
            act: "write",
            path: file.clone(),
            source,
        })?;

        Ok(file)
    }
}

fn base_arguments(arguments: &Arguments, name: &str, project: &Project) -> Vec<String> {
    let root = project.root().display().to_string();
    let mut command = ["--project", &root, "up", name].map(str::to_owned).to_vec();
    let mut add = |option: &str, value: &str| command.extend([option.to_owned(), value.to_owned()]);
    arguments
        .values
        .values
        .iter()
        .for_each(|environment| add("--values", environment));
    for (name, value) in &arguments.values.value {
        add("--value", &format!("{name}={value}"));
    }

    arguments
        .skip
        .iter()
        .for_each(|container| add("--skip", container));
    command
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(MAX_LINES)..].join("\n")
}

const MAX_LINES: usize = 20;
const BACK_OFF: Duration = Duration::from_millis(500);
