//! `assemble check`: reports all findings of manifests, task definitions, templates, services and requests.
//!
//! | file | does |
//! |---|---|
//! | `fix` | applies automatic fixes |
//! | `images` | reads the images of definitions |
//! | `inspector` | adds what the images contain, if this program can read images |
//! | `inputs` | separates task definitions, templates and services from manifests |
//! | `report` | collects findings and suppressions |
//! | `strict` | finds JSON that only a YAML parser accepts |
//! | `text`, `json`, `sarif`, `github` | format the report |
//! | `timeline` | computes start and stop times; `scenario` runs scenario files |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assembly::environments::check_names;
use assembly::rules::unused_value;
use assembly::values::references;
use assembly::{Catalog, Values, plan_with_images};
use clap::{Args, ValueEnum};
use diagnostics::source::{self, Source};
use diagnostics::{Finding, Outcome, RuleConfig};
use ecs_rules::ImageFacts;
use ecs_rules::inputs::{Document, ParsedInput, check_input_with, read_input, retarget_to_fargate};

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::rule_config::{RuleArguments, RuleConfigLoader};
use crate::ui::Ui;

mod fix;
mod github;
#[cfg(feature = "lock")]
mod images;
mod inputs;
mod inspector;
mod json;
mod report;
mod sarif;
mod scenario;
mod strict;
mod text;
mod timeline;

use fix::FixMode;
use inspector::Inspector;
use report::Report;

/// Arguments of `check`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    /// Manifests and task definitions, YAML or JSON, directories of them, or `-` for the standard input [default: all
    /// assemblies of the project].
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    /// Apply automatic fixes in place.
    #[arg(long)]
    fix: bool,
    /// Print what `--fix` would change, as a unified diff, and change nothing.
    #[arg(long, visible_alias = "dry-run")]
    diff: bool,
    /// Check task definitions and services for EC2 as if they were for this platform: the findings say what to change.
    #[arg(long = "for", value_name = "PLATFORM", value_enum)]
    platform: Option<Platform>,
    /// Show best- and worst-case start and stop times instead of findings; run scenario files and fail if a step
    /// does not match.
    #[arg(long, conflicts_with_all = ["fix", "diff", "strict", "show_suppressed", "platform"])]
    timeline: bool,
    /// List suppressed findings with their reasons.
    #[arg(long)]
    show_suppressed: bool,
    #[cfg(feature = "lock")]
    #[command(flatten)]
    images: images::ImageArguments,
    #[command(flatten)]
    rules: RuleArguments,
    #[command(flatten)]
    values: ValueArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: source line, caret and hint.
    Text,
    /// For programs: one JSON object (see docs/commands.md).
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For GitHub: workflow commands that annotate the lines of a change.
    Github,
}

/// A platform to check definitions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Platform {
    /// AWS Fargate.
    Fargate,
}

/// Checks and prints. Returns 1 if there is an error, or any finding with `--strict`.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    if arguments.timeline {
        return timeline::run(arguments, project, ui);
    }

    let mut rule_config = RuleConfigLoader::new(&arguments.rules, project)?;
    let (report, unreadable) = gather(arguments, project, &mut rule_config, ui)?;
    if arguments.diff {
        ui.message(&format!("after the fixes: {}", report.total()));
        // An unreadable file wins over a difference: its exit code is 2.
        unreadable?;
        return Ok(u8::from(report.differs || report.fails(arguments.strict)));
    }

    ui.data(&match arguments.format {
        Format::Text => text::write(&report, arguments.show_suppressed, ui.color()),
        Format::Json => json::write(&report),
        Format::Sarif => sarif::write(&report, project),
        Format::Github => github::write(&report, project),
    });

    for note in report.notes() {
        ui.message(&note);
    }
    ui.print_suppressed_guards(&report.suppressed);
    ui.print_missing_values(&report.findings);
    // With nothing but unreadable files, "no findings" would be misleading.
    if unreadable.is_ok() || !report.is_empty() {
        ui.message(&report.total());
    }

    unreadable?;
    Ok(u8::from(report.fails(arguments.strict)))
}

impl Arguments {
    fn fix_mode(&self) -> FixMode {
        match (self.diff, self.fix) {
            (true, _) => FixMode::Show,
            (false, true) => FixMode::Write,
            (false, false) => FixMode::Off,
        }
    }

    /// Reads the documents of a source, for the chosen platform, and returns what the platform changes.
    fn reading(&self, source: &Source) -> (ParsedInput, Vec<Finding>) {
        let mut reading = read_input(source);
        let changes = match self.platform {
            Some(Platform::Fargate) => retarget_to_fargate(&mut reading),
            None => Vec::new(),
        };
        (reading, changes)
    }

    /// Applies the fixes, if asked to, and records the source in the report.
    fn apply_fixes(
        &self,
        source: Source,
        path: &Path,
        check: impl Fn(&Source) -> Outcome,
        report: &mut Report,
        ui: &Ui,
    ) -> Result<Source, CliError> {
        let mode = self.fix_mode();
        let source = if mode == FixMode::Off {
            source
        } else {
            let (fixed, titles) = fix::apply_all(&source, check);
            report.differs |= fix::write_or_show(&source, &fixed, &titles, path, mode, ui)?;
            fixed
        };

        report.add_source(&source);
        Ok(source)
    }
}

/// Checks all files. An unreadable file does not prevent the others from being checked.
fn gather(
    arguments: &Arguments,
    project: &Project,
    rule_config: &mut RuleConfigLoader<'_>,
    ui: &Ui,
) -> Result<(Report, Result<(), CliError>), CliError> {
    let catalog = project.catalog()?;
    let mut inspector = Inspector::new(arguments, project, ui)?;
    let catalog_images = catalog.image_facts();
    let mut report = Report::default();
    let (mut values, mut environments) = (None, None);
    let (files, mut unreadable) = read_files(arguments, project)?;
    let sources = files.iter().map(|(_, source)| source);
    let related = inputs::related_documents(sources, |source| arguments.reading(source).0);

    for (file, source) in files {
        let levels = rule_config.for_file(&file)?;
        // Warnings about JSON syntax apply to any kind of file and can all be suppressed.
        report.add(levels.apply(strict::findings(&source), |_| true));
        let outcome = if inputs::is_document(&source) {
            let mut images = catalog_images.clone();
            inspector.add_documents(&read_input(&source), &mut images);
            let check =
                |source: &Source| documents(arguments.reading(source), &[], &images, &levels);
            let source = arguments.apply_fixes(source, &file, check, &mut report, ui)?;
            let reading = arguments.reading(&source);
            report.add_not_evaluated(&reading.0);
            documents(reading, &related, &images, &levels)
        } else {
            // Read only for the first manifest: plain task definitions need no values.
            let values = match &values {
                Some(values) => values,
                None => values.insert(project.values(&arguments.values, "example")?),
            };
            let environments = environments.get_or_insert_with(|| project.environments());
            let names = check_names(&source, environments);
            report.add(levels.apply(names.into_iter().collect(), |_| true));
            manifest(&source, &catalog, values, &levels, &mut inspector)
        };

        rule_config.record(&file, &outcome.triggered_rules);
        report.add(outcome);
    }

    // A value can only be called unused when all assemblies were checked.
    if let Some(values) = values.filter(|_| arguments.files.is_empty()) {
        report.add_findings(find_unused_values(&values, project)?);
    }
    report.add_findings(rule_config.findings().cloned());
    // An unreadable file may be the one that needs an entry.
    if unreadable.is_empty() {
        report.add_findings(rule_config.unused_entries(arguments.files.is_empty()));
    }
    unreadable.extend(inspector.unknown_containers());

    Ok((report, CliError::all(unreadable)))
}

/// Returns a finding for each value of the environment that no assembly and no component uses.
fn find_unused_values(values: &Values, project: &Project) -> Result<Vec<Finding>, CliError> {
    let mut used = BTreeSet::from(COMMON_VALUES.map(str::to_owned));
    for source in project.components()? {
        used.extend(references(&source.text));
    }

    for name in project.assemblies()? {
        used.extend(references(&project.manifest(&name)?.text));
    }

    // Values may refer to each other.
    let texts = values.names().filter_map(|name| values.get(name));
    used.extend(texts.flat_map(references));
    let unused = values.names().filter(|name| !used.contains(*name));

    // A value from the command line has no location; it is not part of a file to clean up.
    let placed = unused.filter_map(|name| Some((name, values.location(name)?.clone())));
    Ok(placed
        .map(|(name, location)| unused_value(location, name))
        .collect())
}

/// Values that every environment has, used or not: where the task runs, and image names.
const COMMON_VALUES: [&str; 6] = [
    "account",
    "region",
    "partition",
    "cluster",
    "registry",
    "version",
];

/// The files that can be checked with their texts, and the reasons why others are not.
type ReadFiles = (Vec<(PathBuf, Source)>, Vec<CliError>);

/// Reads every file once. A file of another tool is an error that says what it is.
fn read_files(arguments: &Arguments, project: &Project) -> Result<ReadFiles, CliError> {
    let from_stdin = arguments
        .files
        .iter()
        .any(|file| file == Path::new(inputs::STDIN));
    if from_stdin && arguments.fix_mode() == FixMode::Write {
        let message = "`--fix` cannot change the standard input; pass a file, or `--diff`";
        return Err(CliError::Usage(message.to_owned()));
    }

    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    for file in files(arguments, project)? {
        let source = inputs::read(&file, project);
        match source.and_then(|source| inputs::foreign(&source).map_or(Ok(source), Err)) {
            Ok(source) => readable.push((file, source)),
            Err(failure) => unreadable.push(failure),
        }
    }
    Ok((readable, unreadable))
}

fn files(arguments: &Arguments, project: &Project) -> Result<Vec<PathBuf>, CliError> {
    if !arguments.files.is_empty() {
        let mut files = Vec::new();
        for file in &arguments.files {
            if file.is_dir() {
                files.extend(inputs::files_in(file, project)?);
            } else {
                files.push(file_of(file, project));
            }
        }
        return Ok(files);
    }
    let names = project.assemblies()?;
    Ok(names
        .iter()
        .map(|name| project.manifest_path(name))
        .collect())
}

/// Resolves an argument, which may be an assembly's name.
fn file_of(file: &Path, project: &Project) -> PathBuf {
    match file.to_str() {
        Some(name) if !file.exists() => project.manifest_path(name),
        _ => file.to_owned(),
    }
}

/// Checks a task definition, service or request in any form.
pub(crate) fn definition(source: &Source, images: &ImageFacts, levels: &RuleConfig) -> Outcome {
    documents((read_input(source), Vec::new()), &[], images, levels)
}

fn documents(
    (reading, changes): (ParsedInput, Vec<Finding>),
    related: &[Document],
    images: &ImageFacts,
    levels: &RuleConfig,
) -> Outcome {
    let mut findings = check_input_with(&reading, related, images);
    for change in changes {
        if !findings.contains(&change) {
            findings.push(change);
        }
    }
    findings.sort_by_key(|finding| finding.location.sort_key());
    // Findings about the structure itself leave nothing to render, so they cannot be suppressed.
    let is_readable = reading.findings.is_empty();
    let mut outcome = levels.apply(findings, |finding| {
        is_readable && assembly::rules::is_suppressible(finding.rule)
    });
    outcome.findings.extend(
        outcome
            .ineffective
            .iter()
            .map(assembly::rule_config::unsuppressible_rule),
    );
    outcome
}

fn manifest(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
    levels: &RuleConfig,
    inspector: &mut Inspector<'_>,
) -> Outcome {
    let plan = |images: &ImageFacts| plan_with_images(source, catalog, values, levels, images);
    let mut images = ImageFacts::new();
    // The names of the images are known only after the first plan.
    let planned = plan(&images).and_then(|first| {
        if inspector.add(first.definition(), &mut images) {
            plan(&images)
        } else {
            Ok(first)
        }
    });
    match planned {
        Ok(plan) => plan.outcome().clone(),
        Err(outcome) => outcome,
    }
}

/// Returns whether a source is a task definition. A manifest has neither containers nor a family.
pub(crate) fn is_task_definition(source: &Source) -> bool {
    // Without a readable structure the extension decides: manifests are YAML.
    let is_json = Path::new(&source.name)
        .extension()
        .is_some_and(|end| end == "json");
    source::parse(source).map_or(is_json, |node| {
        node.get("containerDefinitions").is_some() || node.get("family").is_some()
    })
}
