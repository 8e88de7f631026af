//! `check --timeline`: how long a task takes to start and to stop, at best and at worst, with nothing run; and
//! stories.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use assembly::plan_under;
use serde_json::{Value, json};
use task_definition::forms::{Subject, read_any};
use task_definition::{Finding, TaskDefinition};
use task_runner::machine::{Change, Condition, Health, Spec};
use task_runner::{Latest, Moment, Timeline};

use super::story::Played;
use super::{Arguments, Format, files, forms};
use crate::failure::Failure;
use crate::judging::Judging;
use crate::project::Project;
use crate::talk::Talk;

/// Prints the timeline of every definition there is; those that cannot be read fail in the end.
pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    if !matches!(arguments.format, Format::Text | Format::Json) {
        let usage =
            "a timeline is printed as text or JSON; leave `--format` out, or write `--format json`";
        return Err(Failure::Usage(usage.to_owned()));
    }

    let files = files(arguments, project)?;
    let (stories, files) = stories(files, project)?;
    let (lives, findings) = lives(arguments, files, project)?;
    talk.data(&if arguments.format == Format::Json {
        let all: Value = lives.iter().map(Life::json).collect();
        let stories: Value = stories.iter().map(Played::json).collect();
        format!(
            "{:#}\n",
            json!({ "version": 1, "timelines": all, "stories": stories })
        )
    } else {
        let all = lives.iter().map(Life::text);
        let all: Vec<String> = all.chain(stories.iter().map(Played::text)).collect();
        all.join("\n")
    });

    let wrong = stories.iter().filter(|one| !one.as_expected()).count();
    if wrong > 0 {
        let all = stories.len();
        talk.say(&format!(
            "{wrong} of {all} stories go another way than they are told"
        ));
    }

    if findings.is_empty() {
        Ok(u8::from(wrong > 0))
    } else {
        Err(Failure::Findings(findings))
    }
}

/// A task, and how its life goes.
struct Life {
    name: String,
    spec: Spec,
    timeline: Timeline,
}

/// The stories among the files, played; and the other files.
fn stories(files: Vec<PathBuf>, project: &Project) -> Result<(Vec<Played>, Vec<PathBuf>), Failure> {
    let (mut stories, mut others, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match Played::of(&project.source(&file)?) {
            Some(Ok(story)) => stories.push(story),
            Some(Err(failure)) => failures.push(failure),
            None => others.push(file),
        }
    }
    Failure::all(failures)?;
    Ok((stories, others))
}

fn lives(
    arguments: &Arguments,
    files: Vec<PathBuf>,
    project: &Project,
) -> Result<(Vec<Life>, Vec<Finding>), Failure> {
    let catalog = project.catalog()?;
    let mut judging = Judging::new(&arguments.rules, project)?;
    let (mut lives, mut faults) = (Vec::new(), Vec::new());

    for file in files {
        let source = project.source(&file)?;
        if forms::is_document(&source) {
            let reading = read_any(&source);
            faults.extend(reading.findings.iter().cloned());
            for document in reading.documents() {
                if let Subject::Definition(located) = &document.subject {
                    lives.push(Life::of(&located.definition)?);
                }
            }
            continue;
        }

        let values = project.values(&arguments.values, "example")?;
        match plan_under(&source, &catalog, &values, &judging.of(&file)?) {
            Ok(plan) => lives.push(Life::of(plan.definition())?),
            Err(judged) => faults.extend(judged.findings),
        }
    }

    Ok((lives, faults))
}

impl Life {
    fn of(definition: &TaskDefinition) -> Result<Self, Failure> {
        let name = definition.family.clone();
        let spec = Spec::read(definition).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Failure::Usage(format!("`{name}` has no timeline: {}", errors.join("; ")))
        })?;
        let timeline = Timeline::of(&spec);
        Ok(Self {
            name,
            spec,
            timeline,
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}\n\nstart, when every program and every first probe is good\n",
            self.name
        );
        self.lines(&mut text, &self.timeline.start);
        self.lateness(&mut text);
        text += "\nstop, when everybody needs the whole of its stopTimeout\n";
        self.lines(&mut text, &self.timeline.stop);
        let _ = writeln!(text, "  {}", of_spot(self.timeline.stopped()));
        text
    }

    fn lines(&self, text: &mut String, moments: &[Moment]) {
        for moment in moments {
            if let Some(words) = self.words(&moment.change) {
                let at = seconds(moment.at);
                let _ = writeln!(text, "{at:>8} s  {words}");
            }
        }
    }

    /// What is worth a line: the start of a program stands for its running, the kill for its end.
    fn words(&self, change: &Change) -> Option<String> {
        let name = |container: usize| self.name(container);
        Some(match change {
            Change::Starting { container } => {
                let needs = &self.spec.containers[*container].depends_on;
                let needs: Vec<String> = needs
                    .iter()
                    .map(|need| format!("{} {}", name(need.on), need.condition.word()))
                    .collect();
                let after = if needs.is_empty() { "" } else { ", after " };
                format!("{} starts{after}{}", name(*container), needs.join(", "))
            }
            Change::Health {
                container, health, ..
            } if *health == Health::Healthy => format!("{} HEALTHY", name(*container)),
            Change::Stopping { container, kill_at } => {
                let until = seconds(*kill_at);
                format!("{} SIGTERM, has until {until} s", name(*container))
            }
            Change::Killing { container } => format!("{} SIGKILL", name(*container)),
            Change::Stopped {
                container,
                code: Some(0),
                ..
            } => format!("{} ends", name(*container)),
            Change::Task(status) => format!("task {status}"),
            _ => return None,
        })
    }

    /// How late everybody can be, where somebody waits for more than a start.
    fn lateness(&self, text: &mut String) {
        for (container, latest) in self.timeline.latest.iter().enumerate() {
            let name = self.name(container);
            let _ = match latest {
                Latest::At(at) if at.is_zero() => continue,
                Latest::At(at) => writeln!(
                    text,
                    "  {name} starts after {} s at the latest",
                    seconds(*at)
                ),
                Latest::Never { on } => writeln!(
                    text,
                    "  {name} may wait for ever: `{}` has no startTimeout{}",
                    self.name(*on),
                    self.known_hang(*on)
                ),
            };
        }
    }

    /// AWS knows of waits for health that do not end.
    fn known_hang(&self, on: usize) -> &'static str {
        let mut needs = self.spec.containers.iter().flat_map(|one| &one.depends_on);
        let waits = needs.any(|need| need.on == on && need.condition == Condition::Healthy);
        if waits {
            ", and one that is not HEALTHY keeps the task PENDING for hours (containers-roadmap#2379)"
        } else {
            ""
        }
    }

    fn name(&self, container: usize) -> &str {
        &self.spec.containers[container].name
    }

    fn json(&self) -> Value {
        let moments = |all: &[Moment]| -> Value {
            let told = all
                .iter()
                .filter_map(|one| Some((one.at, self.words(&one.change)?)));
            told.map(|(at, words)| json!({ "at": at.as_secs_f64(), "what": words }))
                .collect()
        };

        let latest = self.timeline.latest.iter().enumerate();
        let latest: Value = latest
            .map(|(container, latest)| match latest {
                Latest::At(at) => json!({ "container": self.name(container), "at": at.as_secs_f64() }),
                Latest::Never { on } => {
                    json!({ "container": self.name(container), "at": null, "waitsFor": self.name(*on) })
                }
            })
            .collect();

        json!({
            "family": self.name,
            "start": moments(&self.timeline.start),
            "started": self.timeline.started().map(|at| at.as_secs_f64()),
            "latest": latest,
            "stop": moments(&self.timeline.stop),
            "stopped": self.timeline.stopped().as_secs_f64(),
        })
    }
}

/// Spot's warning is as long as this: AWS, "Fargate capacity providers".
const SPOT: Duration = Duration::from_mins(2);

fn of_spot(stopped: Duration) -> String {
    match SPOT.checked_sub(stopped) {
        Some(spare) if spare.is_zero() => "that is all of the 120 s that Spot gives".to_owned(),
        Some(spare) => format!("Spot gives 120 s: {} s to spare", seconds(spare)),
        None => format!(
            "Spot gives 120 s: {} s too few, then everything is killed at once",
            seconds(stopped.saturating_sub(SPOT))
        ),
    }
}

/// Whole seconds without a point.
fn seconds(time: Duration) -> String {
    format!("{}", time.as_secs_f64())
}
