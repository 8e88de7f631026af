//! Runs tasks: `assemble up` for each, again where it fails, and a dead letter where it fails for good.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use assembly::manifest::OnDemand;
use serde_json::{Value, json};

use super::Arguments;
use super::queue::{Job, Queue};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// How tasks are run.
#[derive(Debug)]
pub(super) struct Work {
    command: PathBuf,
    /// What stands before the variables of a task.
    words: Vec<String>,
    /// `s3://bucket/`, and the folder that stands for it.
    places: Vec<(String, String)>,
    output: PathBuf,
    dead_letters: PathBuf,
    retries: u32,
    done: AtomicUsize,
    failed: AtomicUsize,
}

/// How one try ended.
struct Try {
    code: Option<i32>,
    said: String,
}

impl Work {
    /// Makes the folders that it writes into.
    pub(super) fn new(
        arguments: &Arguments,
        name: &str,
        on_demand: &OnDemand,
        watched: &Path,
        project: &Project,
    ) -> Result<Self, Failure> {
        let own = project.root().join(".assemble/on-demand").join(name);
        let made = |chosen: &Option<PathBuf>, usual: &str| {
            let folder = chosen.clone().unwrap_or_else(|| own.join(usual));
            let made = fs::create_dir_all(&folder).and_then(|()| folder.canonicalize());
            made.map_err(|source| Failure::File {
                act: "make",
                path: folder,
                source,
            })
        };

        let output = made(&arguments.output, "output")?;
        let dead_letters = made(&arguments.dead_letters, "dead-letters")?;
        let bucket =
            |name: &str, folder: &Path| (format!("s3://{name}/"), format!("{}/", folder.display()));
        let mut places = vec![bucket(&on_demand.bucket, watched)];

        if let Some(other) = on_demand
            .output_bucket
            .as_ref()
            .filter(|one| **one != on_demand.bucket)
        {
            places.push(bucket(other, &output));
        }

        let command = env::current_exe().map_err(|source| Failure::File {
            act: "find",
            path: "assemble".into(),
            source,
        })?;

        Ok(Self {
            command,
            words: words(arguments, name, project),
            places,
            output,
            dead_letters,
            retries: arguments.retries,
            done: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        })
    }

    /// Where results go.
    pub(super) fn output(&self) -> &Path {
        &self.output
    }

    /// Whether a task failed for good.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
    }

    /// How it went, in the end.
    pub(super) fn total(&self) -> String {
        let (done, failed) = (
            self.done.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        );
        let tasks = if done == 1 {
            "1 task"
        } else {
            &format!("{done} tasks")
        };

        match failed {
            0 => format!("{tasks} done, none failed"),
            many => format!(
                "{tasks} done, {many} failed: see {}",
                self.dead_letters.display()
            ),
        }
    }

    /// Does what the queue gives until it is closed.
    pub(super) fn all(&self, queue: &Queue, talk: &Talk) {
        while let Some(job) = queue.take() {
            self.one(&job, talk);
            queue.done();
        }
    }

    fn one(&self, job: &Job, talk: &Talk) {
        let mut tries = Vec::new();
        for attempt in 0..=self.retries {
            if attempt > 0 {
                thread::sleep(BACK_OFF * attempt);
            }

            let began = Instant::now();
            let ended = self.run(job);
            let took = began.elapsed().as_secs_f32();

            if ended.code == Some(0) {
                self.done.fetch_add(1, Ordering::Relaxed);
                return talk.say(&format!("{}: done in {took:.1} s", job.key));
            }

            let code = ended
                .code
                .map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
            talk.say(&format!(
                "{}: try {} ended after {took:.1} s with {code}",
                job.key,
                attempt + 1
            ));
            tries.push(ended);
        }

        self.failed.fetch_add(1, Ordering::Relaxed);
        match self.put_away(job, &tries) {
            Ok(letter) => talk.say(&format!("{}: given up; {}", job.key, letter.display())),
            Err(failure) => talk.failure(&failure),
        }
    }

    /// A task of its own, as `up` runs it; what is on AWS in a bucket is here in a folder.
    fn run(&self, job: &Job) -> Try {
        let mut command = Command::new(&self.command);
        command.args(&self.words);
        for (name, value) in &job.start.variables {
            let value = self.local(value);
            if let Some(folder) = Path::new(&value)
                .parent()
                .filter(|folder| folder.starts_with(&self.output))
            {
                // A bucket has no folders to make; a task that cannot write says so itself.
                let _ = fs::create_dir_all(folder);
            }

            command
                .arg("--env")
                .arg(format!("{}:{name}={value}", job.start.container));
        }

        match command.output() {
            Ok(output) => Try {
                code: output.status.code(),
                said: last_lines(&String::from_utf8_lossy(&output.stderr)),
            },
            Err(error) => Try {
                code: None,
                said: error.to_string(),
            },
        }
    }

    fn local(&self, value: &str) -> String {
        let mut places = self.places.iter();
        let found = places
            .find_map(|(bucket, folder)| Some(format!("{folder}{}", value.strip_prefix(bucket)?)));
        found.unwrap_or_else(|| value.to_owned())
    }

    /// Keeps the event and what was said of it, so that it can be delivered again.
    fn put_away(&self, job: &Job, tries: &[Try]) -> Result<PathBuf, Failure> {
        let tries: Value = tries
            .iter()
            .map(|one| json!({ "exitCode": one.code, "said": one.said }))
            .collect();
        let letter =
            json!({ "event": job.event, "overrides": job.start.overrides, "tries": tries });
        let id = job.event["id"].as_str().unwrap_or_default();
        let file = self.dead_letters.join(format!("{id}.json"));

        fs::write(&file, format!("{letter:#}\n")).map_err(|source| Failure::File {
            act: "write",
            path: file.clone(),
            source,
        })?;

        Ok(file)
    }
}

fn words(arguments: &Arguments, name: &str, project: &Project) -> Vec<String> {
    let root = project.root().display().to_string();
    let mut words = ["--project", &root, "up", name].map(str::to_owned).to_vec();
    let mut add = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
    arguments
        .values
        .values
        .iter()
        .for_each(|one| add("--values", one));
    for (name, value) in &arguments.values.value {
        add("--value", &format!("{name}={value}"));
    }

    arguments.skip.iter().for_each(|one| add("--skip", one));
    words
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(KEPT_LINES)..].join("\n")
}

const KEPT_LINES: usize = 20;
const BACK_OFF: Duration = Duration::from_millis(500);
