//! `assemble render`: writes the documents of assemblies, and says what they are in one table.

use std::collections::HashMap;
use std::fs;
use std::iter;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use assembly::{Document, Plan, Prices, Sizing};
use clap::Args;
use task_definition::{Finding, Judged, Severity};

use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::{Failure, count};
use crate::judging::{Judging, RuleArguments};
use crate::project::Project;
use crate::talk::Talk;

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assemblies, by name or file.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// All assemblies of the project.
    #[arg(long)]
    all: bool,
    /// An environment under `assemblies/values/`, rendered into a folder of its own; several stand side by
    /// side.
    #[arg(long, value_name = "NAME")]
    environment: Vec<String>,
    /// The folder to write into, instead of `assemblies/rendered/`.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleArguments,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// Renders them all before it gives up, so that every finding is seen.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let names = if arguments.all {
        project.assemblies()?
    } else {
        arguments.names.clone()
    };

    let catalog = project.catalog()?;
    let prices = project.prices(&arguments.prices)?;
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    let mut all = Told::default();
    let mut written = 0;
    let mut plans = Vec::new();
    let mut judging = Judging::new(&arguments.rules, project)?;

    for target in targets(arguments, project)? {
        let values = project.values(&target.values, "example")?;
        let mut asked = Vec::new();
        for name in &names {
            let judgement = judging.of(&project.manifest_path(name))?;
            asked.push((name, project.manifest(name)?, judgement));
        }

        let made = side_by_side(&asked, |(_, manifest, judgement)| {
            let planned = assembly::plan_under(manifest, &catalog, &values, judgement);
            planned.map(|plan| {
                let plan = plan.priced(&prices);
                let written = write(&plan, &target);
                (plan, written)
            })
        });

        for ((name, ..), outcome) in asked.iter().zip(made) {
            match outcome {
                Ok((plan, files)) => {
                    talk.guards(plan.silenced());
                    written += files?;
                    rows.push(row(&plan, &prices, &target));
                    all.add(plan.warnings());
                    plans.push(plan);
                }
                Err(Judged { findings, .. }) => {
                    rows.push(failed(target.called(name), &findings));
                    all.add(&findings);
                }
            }
        }
    }

    let all = all.in_order;
    // A page that lacks an assembly would be worse than one of yesterday.
    let is_usual = arguments.environment.is_empty() && arguments.out.is_none();
    if arguments.all && is_usual && plans.len() == names.len() {
        written += super::index::write(&plans, project)?;
    }

    talk.data(&table(&rows));
    let place = arguments
        .out
        .as_deref()
        .map_or("assemblies/rendered/".to_owned(), |out| {
            out.display().to_string()
        });

    talk.say(&match written {
        0 => format!("nothing changed in {place}"),
        1 => format!("1 file written into {place}"),
        many => format!("{many} files written into {place}"),
    });
    talk.missing(&all);

    if all
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        Err(Failure::Findings(all))
    } else {
        Ok(0)
    }
}

/// Where one environment goes, and with which values.
struct Target {
    environment: Option<String>,
    values: ValueArguments,
    folder: PathBuf,
    stale: Stale,
}

/// What becomes of files that are no longer made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stale {
    Goes,
    /// The folder is the user's, who may have more in it.
    Stays,
}

impl Target {
    /// `production/shop`.
    fn called(&self, name: &str) -> String {
        match &self.environment {
            Some(environment) => format!("{environment}/{name}"),
            None => name.to_owned(),
        }
    }
}

fn targets(arguments: &Arguments, project: &Project) -> Result<Vec<Target>, Failure> {
    let own = project.root().join("assemblies/rendered");
    let (folder, stale) = match &arguments.out {
        Some(out) => (out.clone(), Stale::Stays),
        None => (own, Stale::Goes),
    };

    if arguments.environment.is_empty() {
        let values = arguments.values.clone();
        let environment = None;
        return Ok(vec![Target {
            environment,
            values,
            folder,
            stale,
        }]);
    }

    let assemblies = project.assemblies()?;
    let mut targets = Vec::new();
    for environment in &arguments.environment {
        if assemblies.contains(environment) {
            return Err(Failure::Usage(format!(
                "`{environment}` is an assembly and an environment, and both would be written into one folder; rename one of them"
            )));
        }
        targets.push(Target {
            values: arguments.values.and(environment),
            folder: folder.join(environment),
            environment: Some(environment.clone()),
            stale,
        });
    }

    Ok(targets)
}

fn failed(name: String, findings: &[Finding]) -> [String; COLUMNS] {
    let mut row = [const { String::new() }; COLUMNS].map(|_| "-".to_owned());
    row[0] = name;
    row[COLUMNS - 1] = count(findings.len());
    row
}

/// Does the work for every item, as many at a time as there are processors; the results come in the order
/// of the items.
fn side_by_side<I: Sync, R: Send>(items: &[I], work: impl Fn(&I) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    if workers == 1 || items.len() < 2 {
        return items.iter().map(work).collect();
    }

    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                let indices = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for (index, item) in indices.map_while(|index| Some((index, items.get(index)?))) {
                    // Nobody listens only where another worker has panicked, which ends this scope.
                    let _ = done.send((index, work(item)));
                }
            });
        }
    });

    drop(done);
    let mut results: Vec<(usize, R)> = results.into_iter().collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What was found, each thing once: several assemblies may name the same broken component.
#[derive(Default)]
struct Told {
    in_order: Vec<Finding>,
    /// Where the findings of one message stand among them.
    by_message: HashMap<String, Vec<usize>>,
}

impl Told {
    fn add(&mut self, findings: &[Finding]) {
        for finding in findings {
            let same = self.by_message.entry(finding.message.clone()).or_default();
            if same.iter().all(|index| self.in_order[*index] != *finding) {
                same.push(self.in_order.len());
                self.in_order.push(finding.clone());
            }
        }
    }
}

const COLUMNS: usize = 6;

const HEADINGS: [&str; COLUMNS] = [
    "assembly",
    "containers",
    "Fargate size",
    "set by",
    "price",
    "findings",
];

fn row(plan: &Plan, prices: &Prices, target: &Target) -> [String; COLUMNS] {
    let findings = match plan.warnings().len() {
        0 => "none".to_owned(),
        many => count(many),
    };

    [
        target.called(plan.name()),
        plan.containers().len().to_string(),
        plan.size().to_string(),
        Sizing::of_plan(plan, prices).set_by(),
        price(plan),
        findings,
    ]
}

/// By the month for a task that serves, by the hour for one that ends.
fn price(plan: &Plan) -> String {
    match (plan.price(), plan.on_demand()) {
        (None, _) => "unknown".to_owned(),
        (Some(price), None) => format!("${:.2} a month", price.month()),
        (Some(price), Some(_)) => format!("${:.4} an hour", price.hour),
    }
}

/// Writes what is new or different; takes away documents that are no longer made.
fn write(plan: &Plan, target: &Target) -> Result<usize, Failure> {
    let folder = target.folder.join(plan.name());
    let documents = assembly::render(plan);
    let mut written = 0;
    for Document { path, text } in &documents {
        written += usize::from(write_if_different(&folder.join(path), text)?);
    }

    if target.stale == Stale::Stays {
        return Ok(written);
    }
    for stale in files_under(&folder) {
        let known = documents
            .iter()
            .any(|document| folder.join(&document.path) == stale);
        if !known {
            fs::remove_file(&stale).map_err(|source| Failure::File {
                act: "remove",
                path: stale,
                source,
            })?;
            written += 1;
        }
    }

    Ok(written)
}

pub(super) fn write_if_different(path: &Path, text: &str) -> Result<bool, Failure> {
    if fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }

    let failure = |source| Failure::File {
        act: "write",
        path: path.to_owned(),
        source,
    };

    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failure)?;
    }
    fs::write(path, text).map_err(failure)?;

    Ok(true)
}

pub(super) fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());

    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_under(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Columns as wide as their widest cell.
fn table(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }

    let line = |row: &[String; COLUMNS]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };

    rows.iter().map(line).collect()
}
