//! `assemble render`: writes the documents of assemblies and prints a table of them.

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
use diagnostics::{Finding, Severity};

use crate::arguments::{PriceArguments, ValueArguments};
use crate::error::{CliError, format_findings};
use crate::project::Project;
use crate::rule_config::{RuleArguments, RuleConfigLoader};
use crate::ui::Ui;

mod abandoned;

/// Arguments of `render`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assemblies, by name or path.
    #[arg(value_name = "NAME", required_unless_present = "all")]
    names: Vec<String>,
    /// Render all assemblies of the project.
    #[arg(long)]
    all: bool,
    /// Environment under `assemblies/values/`, rendered into its own subdirectory; repeatable.
    #[arg(long, value_name = "NAME")]
    environment: Vec<String>,
    /// Directory to write to [default: `assemblies/rendered/`].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    rules: RuleArguments,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// Renders all assemblies before it fails, so that every finding is printed.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let names = arguments.names(project)?;
    let catalog = project.catalog()?;
    let prices = project.prices(&arguments.prices)?;
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    let mut findings = UniqueFindings::default();
    let (mut written, mut plans) = (0, Vec::new());
    let mut rule_config = RuleConfigLoader::new(&arguments.rules, project)?;

    for target in targets(arguments, project)? {
        let values = project.values(&target.values, "example")?;
        let mut jobs = Vec::new();
        for name in &names {
            let levels = rule_config.for_file(&project.manifest_path(name))?;
            jobs.push((name, project.manifest(name)?, levels));
        }

        let outcomes = par_map(&jobs, |(_, manifest, levels)| {
            let planned = assembly::plan_under(manifest, &catalog, &values, levels);
            planned.map(|plan| {
                let plan = plan.with_prices(&prices);
                let written = write(&plan, &target);
                (plan, written)
            })
        });

        for ((name, ..), outcome) in jobs.iter().zip(outcomes) {
            match outcome {
                Ok((plan, files)) => {
                    ui.print_suppressed_guards(plan.suppressed_findings());
                    written += files?;
                    rows.push(row(&plan, &prices, &target));
                    findings.add(plan.warnings());
                    plans.push(plan);
                }
                Err(outcome) => {
                    rows.push(failed_row(target.display_name(name), &outcome.findings));
                    findings.add(&outcome.findings);
                }
            }
        }
    }

    let findings = findings.in_order;
    // An index without a failed assembly would be worse than the previous one.
    if arguments.all && arguments.has_default_output() && plans.len() == names.len() {
        written += super::index::write(&plans, project)?;
    }

    ui.data(&table(&rows));
    ui.message(&arguments.format_total(written));
    // Only with all assemblies it is known which folders belong to none.
    if arguments.all && arguments.has_default_output() && plans.len() == names.len() {
        for folder in abandoned::abandoned_folders(&plans, project) {
            ui.message(&format!(
                "assemblies/rendered/{folder}/ belongs to no assembly; remove it if `{folder}` was renamed or deleted"
            ));
        }
    }
    ui.print_missing_values(&findings);

    let mut severities = findings.iter().map(|finding| finding.severity);
    if severities.any(|severity| severity == Severity::Error) {
        Err(CliError::Findings(findings))
    } else {
        Ok(0)
    }
}

impl Arguments {
    /// Returns the names of the assemblies to render.
    fn names(&self, project: &Project) -> Result<Vec<String>, CliError> {
        if self.all {
            project.assemblies()
        } else {
            Ok(self.names.clone())
        }
    }

    /// Returns whether the files are those that are committed.
    fn has_default_output(&self) -> bool {
        self.environment.is_empty() && self.output.is_none()
    }

    /// Formats the number of written files, and where they are.
    fn format_total(&self, written: usize) -> String {
        let output = self.output.as_deref().map(|out| out.display().to_string());
        let location = output.unwrap_or_else(|| "assemblies/rendered/".to_owned());
        match written {
            0 => format!("nothing changed in {location}"),
            1 => format!("wrote 1 file to {location}"),
            count => format!("wrote {count} files to {location}"),
        }
    }
}

/// The output directory and the values of one environment.
struct Target {
    environment: Option<String>,
    values: ValueArguments,
    folder: PathBuf,
    stale_files: StaleFiles,
}

/// What to do with files that are no longer rendered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StaleFiles {
    Remove,
    /// Keep them: the directory is the user's and may contain other files.
    Keep,
}

impl Target {
    /// Returns the name for the table: `production/shop`.
    fn display_name(&self, name: &str) -> String {
        match &self.environment {
            Some(environment) => format!("{environment}/{name}"),
            None => name.to_owned(),
        }
    }
}

fn targets(arguments: &Arguments, project: &Project) -> Result<Vec<Target>, CliError> {
    let own = project.root().join("assemblies/rendered");
    let (folder, stale_files) = match &arguments.output {
        Some(out) => (out.clone(), StaleFiles::Keep),
        None => (own, StaleFiles::Remove),
    };

    if arguments.environment.is_empty() {
        let values = arguments.values.clone();
        let environment = None;
        return Ok(vec![Target {
            environment,
            values,
            folder,
            stale_files,
        }]);
    }

    let assemblies = project.assemblies()?;
    let mut targets = Vec::new();
    for environment in &arguments.environment {
        // `rendered/NAME/` is an assembly's directory without --environment, an environment's with it.
        if assemblies.contains(environment) {
            return Err(CliError::Usage(format!(
                "`{environment}` is the name of an assembly and of an environment, which would share a directory; rename one of them"
            )));
        }
        targets.push(Target {
            values: arguments.values.and(environment),
            folder: folder.join(environment),
            environment: Some(environment.clone()),
            stale_files,
        });
    }

    Ok(targets)
}

fn failed_row(name: String, findings: &[Finding]) -> [String; COLUMNS] {
    let mut row = [const { String::new() }; COLUMNS].map(|_| "-".to_owned());
    row[0] = name;
    row[COLUMNS - 1] = format_findings(findings.len());
    row
}

/// Maps the items in parallel, with one thread per processor. Results are in the order of the items.
fn par_map<I: Sync, R: Send>(items: &[I], work: impl Fn(&I) -> R + Sync) -> Vec<R> {
    // Threads cost more than they save for a single item.
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
                // Workers take the next index themselves: planning times differ too much for equal shares.
                let indices = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                for (index, item) in indices.map_while(|index| Some((index, items.get(index)?))) {
                    // Sending fails only if the receiver is gone, after a panic of another worker.
                    let _ = done.send((index, work(item)));
                }
            });
        }
    });

    // The receiver ends once every sender is dropped, this one included.
    drop(done);
    let mut results: Vec<(usize, R)> = results.into_iter().collect();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Findings without duplicates: several assemblies may use the same broken component.
#[derive(Default)]
struct UniqueFindings {
    in_order: Vec<Finding>,
    /// The indices of the findings with a message; comparing all pairs would be quadratic.
    by_message: HashMap<String, Vec<usize>>,
}

impl UniqueFindings {
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
    "task price",
    "findings",
];

fn row(plan: &Plan, prices: &Prices, target: &Target) -> [String; COLUMNS] {
    let findings = match plan.warnings().len() {
        0 => "none".to_owned(),
        count => format_findings(count),
    };

    [
        target.display_name(plan.name()),
        plan.containers().len().to_string(),
        plan.size().to_string(),
        Sizing::from_plan(plan, prices).set_by(),
        price(plan),
        findings,
    ]
}

/// Formats the price: per month for a service, per hour for a task that ends.
fn price(plan: &Plan) -> String {
    match (plan.price(), plan.on_demand()) {
        (None, _) => "unknown".to_owned(),
        (Some(price), None) => format!("${:.2} a month", price.month()),
        (Some(price), Some(_)) => format!("${:.4} an hour", price.hour),
    }
}

/// Writes new and changed documents, and removes those that are no longer rendered.
fn write(plan: &Plan, target: &Target) -> Result<usize, CliError> {
    let folder = target.folder.join(plan.name());
    let documents = assembly::render(plan);
    let mut written = 0;
    for Document { path, text } in &documents {
        written += usize::from(write_if_different(&folder.join(path), text)?);
    }

    if target.stale_files == StaleFiles::Keep {
        return Ok(written);
    }
    for stale in files_under(&folder) {
        let is_rendered = documents
            .iter()
            .any(|document| folder.join(&document.path) == stale);
        if !is_rendered {
            fs::remove_file(&stale).map_err(|source| CliError::File {
                act: "remove",
                path: stale,
                source,
            })?;
            written += 1;
        }
    }

    Ok(written)
}

/// Writes a file only if its content differs, so that build tools see no change. Returns whether it did.
pub(super) fn write_if_different(path: &Path, text: &str) -> Result<bool, CliError> {
    if fs::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(false);
    }

    let failure = |source| CliError::File {
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

/// Returns all files of a directory and its subdirectories.
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

/// Formats a table with aligned columns.
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
