//! `check --timeline`: best- and worst-case start and stop times of a task, computed without running it; and
//! scenario files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use assembly::plan_under;
use diagnostics::Finding;
use ecs_rules::inputs::{DocumentKind, read_input};
use serde_json::{Value, json};
use task_definition::TaskDefinition;
use task_runner::machine::{Change, Condition, Health, Spec};
use task_runner::{LatestStart, Moment, Timeline};

use super::scenario::ScenarioResult;
use super::{Arguments, Format, files, inputs};
use crate::error::CliError;
use crate::project::Project;
use crate::rule_config::RuleConfigLoader;
use crate::ui::Ui;

/// Prints the timeline of every definition. Findings of those that cannot be planned are the error.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    if !matches!(arguments.format, Format::Text | Format::Json) {
        let usage =
            "a timeline has the formats text and json; omit `--format`, or use `--format json`";
        return Err(CliError::Usage(usage.to_owned()));
    }

    let files = files(arguments, project)?;
    let (scenarios, files) = scenarios(files, project)?;
    let (tasks, findings) = tasks(arguments, files, project)?;
    ui.data(&if arguments.format == Format::Json {
        let all: Value = tasks.iter().map(TaskTimeline::json).collect();
        let scenarios: Value = scenarios.iter().map(ScenarioResult::json).collect();
        format!(
            "{:#}\n",
            json!({ "version": 1, "timelines": all, "scenarios": scenarios })
        )
    } else {
        let all = tasks.iter().map(TaskTimeline::text);
        let all: Vec<String> = all
            .chain(scenarios.iter().map(ScenarioResult::text))
            .collect();
        all.join("\n")
    });

    let failed = scenarios
        .iter()
        .filter(|scenario| !scenario.as_expected())
        .count();
    if failed > 0 {
        let all = scenarios.len();
        let plural = if all == 1 { "" } else { "s" };
        ui.message(&format!("{failed} of {all} scenario{plural} failed"));
    }

    if findings.is_empty() {
        Ok(u8::from(failed > 0))
    } else {
        Err(CliError::Findings(findings))
    }
}

/// A task and its timeline.
struct TaskTimeline {
    name: String,
    spec: Spec,
    timeline: Timeline,
}

/// Simulates the scenarios among the files, and returns the other files.
fn scenarios(
    files: Vec<PathBuf>,
    project: &Project,
) -> Result<(Vec<ScenarioResult>, Vec<PathBuf>), CliError> {
    let (mut scenarios, mut others, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match ScenarioResult::from_source(&project.source(&file)?) {
            Some(Ok(scenario)) => scenarios.push(scenario),
            Some(Err(failure)) => failures.push(failure),
            None => others.push(file),
        }
    }
    CliError::all(failures)?;
    Ok((scenarios, others))
}

fn tasks(
    arguments: &Arguments,
    files: Vec<PathBuf>,
    project: &Project,
) -> Result<(Vec<TaskTimeline>, Vec<Finding>), CliError> {
    let catalog = project.catalog()?;
    let mut rule_config = RuleConfigLoader::new(&arguments.rules, project)?;
    let (mut tasks, mut findings) = (Vec::new(), Vec::new());

    for file in files {
        let source = project.source(&file)?;
        if inputs::is_document(&source) {
            let reading = read_input(&source);
            // Values that could not be read are replaced by others, which have another timeline.
            if !reading.findings.is_empty() {
                findings.extend(reading.findings);
                continue;
            }
            for document in reading.documents() {
                if let DocumentKind::Definition(located) = &document.kind {
                    tasks.push(TaskTimeline::new(&located.definition)?);
                }
            }
            continue;
        }

        let values = project.values(&arguments.values, "example")?;
        // The timeline of an assembly is that of the definition it renders to.
        match plan_under(&source, &catalog, &values, &rule_config.for_file(&file)?) {
            Ok(plan) => tasks.push(TaskTimeline::new(plan.definition())?),
            Err(outcome) => findings.extend(outcome.findings),
        }
    }

    Ok((tasks, findings))
}

impl TaskTimeline {
    fn new(definition: &TaskDefinition) -> Result<Self, CliError> {
        let name = definition.family.clone();
        let spec = Spec::read(definition).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            CliError::Usage(format!("`{name}` has no timeline: {}", errors.join("; ")))
        })?;
        let timeline = Timeline::new(&spec);
        Ok(Self {
            name,
            spec,
            timeline,
        })
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}\n\nbest-case start: every program starts, every first health check succeeds\n",
            self.name
        );
        self.lines(&mut text, &self.timeline.start);
        self.lateness(&mut text);
        text += "\nworst-case stop: every container uses its whole stopTimeout\n";
        self.lines(&mut text, &self.timeline.stop);
        let _ = writeln!(text, "  {}", spot_margin(self.timeline.stop_duration()));
        text
    }

    fn lines(&self, text: &mut String, moments: &[Moment]) {
        for moment in moments {
            if let Some(event) = self.format_change(&moment.change) {
                let at = seconds(moment.at);
                let _ = writeln!(text, "{at:>8} s  {event}");
            }
        }
    }

    /// Formats the changes that are worth a line. `Running` follows `Starting` at once, and a container's end follows
    /// its kill, so neither has one.
    fn format_change(&self, change: &Change) -> Option<String> {
        let name = |container: usize| self.name(container);
        Some(match change {
            Change::Starting { container } => {
                let needs = &self.spec.containers[*container].depends_on;
                let needs: Vec<String> = needs
                    .iter()
                    .map(|need| format!("{} {}", name(need.on), need.condition.as_str()))
                    .collect();
                let after = if needs.is_empty() { "" } else { ", after " };
                format!("{} starts{after}{}", name(*container), needs.join(", "))
            }
            Change::Health {
                container, health, ..
            } if *health == Health::Healthy => format!("{} HEALTHY", name(*container)),
            Change::Stopping { container, kill_at } => {
                let until = seconds(*kill_at);
                format!("{} SIGTERM, SIGKILL at {until} s", name(*container))
            }
            Change::Killing { container } => format!("{} SIGKILL", name(*container)),
            Change::Stopped {
                container,
                // Only exit code 0 is listed: a container that is killed has the SIGKILL line.
                code: Some(0),
                ..
            } => format!("{} ends", name(*container)),
            Change::Task(status) => format!("task {status}"),
            _ => return None,
        })
    }

    /// Formats the latest start of each container that waits for more than another one's start.
    fn lateness(&self, text: &mut String) {
        for (container, latest) in self.timeline.latest_starts.iter().enumerate() {
            let name = self.name(container);
            let _ = match latest {
                LatestStart::At(at) if at.is_zero() => continue,
                LatestStart::At(at) => writeln!(
                    text,
                    "  {name} starts after {} s at the latest",
                    seconds(*at)
                ),
                // A dependency without startTimeout has no bound: ECS waits until the condition holds.
                LatestStart::Unbounded { on } => writeln!(
                    text,
                    "  {name} may wait forever: `{}` has no startTimeout{}",
                    self.name(*on),
                    self.known_hang(*on)
                ),
            };
        }
    }

    /// Returns a note about waits for HEALTHY that do not end on Fargate.
    fn known_hang(&self, on: usize) -> &'static str {
        let mut needs = self
            .spec
            .containers
            .iter()
            .flat_map(|container| &container.depends_on);
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
            let listed = all
                .iter()
                .filter_map(|moment| Some((moment.at, self.format_change(&moment.change)?)));
            listed
                .map(|(at, event)| json!({ "at": at.as_secs_f64(), "event": event }))
                .collect()
        };

        let latest = self.timeline.latest_starts.iter().enumerate();
        let latest: Value = latest
            .map(|(container, latest)| match latest {
                LatestStart::At(at) => json!({ "container": self.name(container), "at": at.as_secs_f64() }),
                LatestStart::Unbounded { on } => {
                    json!({ "container": self.name(container), "at": null, "waitsFor": self.name(*on) })
                }
            })
            .collect();

        json!({
            "family": self.name,
            "start": moments(&self.timeline.start),
            "started": self.timeline.start_duration().map(|at| at.as_secs_f64()),
            "latest": latest,
            "stop": moments(&self.timeline.stop),
            "stopped": self.timeline.stop_duration().as_secs_f64(),
        })
    }
}

/// The time between Spot's warning and the stop: AWS, "Fargate capacity providers".
const SPOT: Duration = Duration::from_mins(2);

fn spot_margin(stopped: Duration) -> String {
    match SPOT.checked_sub(stopped) {
        Some(spare) if spare.is_zero() => "uses all of the 120 s of a Spot warning".to_owned(),
        Some(spare) => format!("{} s less than the 120 s of a Spot warning", seconds(spare)),
        None => format!(
            "{} s more than the 120 s of a Spot warning; what still runs then is killed",
            seconds(stopped.saturating_sub(SPOT))
        ),
    }
}

/// Formats seconds; whole ones without a decimal point.
fn seconds(time: Duration) -> String {
    format!("{}", time.as_secs_f64())
}
