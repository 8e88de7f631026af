//! `assemble check`: all findings of manifests, task definitions, templates, services and requests.
//!
//! | file | does |
//! |---|---|
//! | `fix` | mends what leaves nothing to decide |
//! | `forms` | which files are task definitions, templates, services, and which are manifests |
//! | `report` | what was found, told and silenced |
//! | `strict` | JSON that only a YAML parser takes |
//! | `text`, `json`, `sarif`, `github` | write it down, a form each |
//! | `timeline` | says how long a start and a stop take; `story` plays what is told |

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assembly::rules::unused_value;
use assembly::values::references;
use assembly::{Catalog, Values, plan_under};
use clap::{Args, ValueEnum};
use task_definition::forms::{Document, Reading, judge_beside, read_any};
use task_definition::source::{self, Source};
use task_definition::{Finding, Judged, Judgement};

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::judging::{Judging, RuleArguments};
use crate::project::Project;
use crate::talk::Talk;

mod fix;
mod forms;
mod github;
mod json;
mod report;
mod sarif;
mod story;
mod strict;
mod text;
mod timeline;

use fix::Mending;
use report::Report;

/// What to check.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    /// Manifests and task definitions, YAML or JSON; all assemblies of the project when left out.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the findings.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Fails on warnings too.
    #[arg(long)]
    strict: bool,
    /// Mends, in the files, what leaves nothing to decide; the rest of a file stays as it is.
    #[arg(long)]
    fix: bool,
    /// Prints what `--fix` would change, as a unified diff, and changes nothing.
    #[arg(long, visible_alias = "dry-run")]
    diff: bool,
    /// Prints, in place of findings, how long the start and the stop take, at best and at worst; of a story (a file
    /// with `story`), what the task does, and fails where that is not what is told.
    #[arg(long, conflicts_with_all = ["fix", "diff", "strict", "show_silenced"])]
    timeline: bool,
    /// Lists what is silenced, with the reasons.
    #[arg(long)]
    show_silenced: bool,
    #[command(flatten)]
    rules: RuleArguments,
    #[command(flatten)]
    values: ValueArguments,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, a caret, a hint.
    Text,
    /// For programs: one object; the README says what is in it.
    Json,
    /// For code scanning: SARIF 2.1.0.
    Sarif,
    /// For GitHub: workflow commands that put each finding on its line.
    Github,
}

/// Checks, prints, and answers 1 when something is an error, or anything with `--strict`.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    if arguments.timeline {
        return timeline::run(arguments, project, talk);
    }

    let mut judging = Judging::new(&arguments.rules, project)?;
    let (report, unreadable) = gather(arguments, project, &mut judging, talk)?;
    if arguments.diff {
        talk.say(&format!("then: {}", report.total()));
        unreadable?;
        return Ok(u8::from(report.differs || report.fails(arguments.strict)));
    }

    talk.data(&match arguments.format {
        Format::Text => text::write(&report, arguments.show_silenced, talk.color()),
        Format::Json => json::write(&report),
        Format::Sarif => sarif::write(&report, project),
        Format::Github => github::write(&report, project),
    });

    talk.guards(&report.silenced);
    talk.missing(&report.findings);
    if unreadable.is_ok() || !report.is_empty() {
        talk.say(&report.total());
    }

    unreadable?;
    Ok(u8::from(report.fails(arguments.strict)))
}

impl Arguments {
    fn mending(&self) -> Mending {
        match (self.diff, self.fix) {
            (true, _) => Mending::Show,
            (false, true) => Mending::Write,
            (false, false) => Mending::No,
        }
    }

    /// The file as it is now, or as it would be.
    fn mended(
        &self,
        source: Source,
        path: &Path,
        judgement: &Judgement,
        report: &mut Report,
        talk: &Talk,
    ) -> Result<Source, Failure> {
        let mending = self.mending();
        let source = if mending == Mending::No {
            source
        } else {
            let (mended, titles) = fix::mended(&source, judgement, definition);
            report.differs |= fix::keep(&source, &mended, &titles, path, mending, talk)?;
            mended
        };

        report.add_source(&source);
        Ok(source)
    }
}

/// Checks every file there is. One that cannot be read does not keep the others from being checked.
fn gather(
    arguments: &Arguments,
    project: &Project,
    judging: &mut Judging<'_>,
    talk: &Talk,
) -> Result<(Report, Result<(), Failure>), Failure> {
    let catalog = project.catalog()?;
    let mut report = Report::default();
    let mut unreadable = Vec::new();
    let mut values = None;
    let files = files(arguments, project)?;
    let beside = forms::beside(&files, project);

    for file in files {
        let source = match project.source(&file) {
            Ok(source) => source,
            Err(failure) => {
                unreadable.push(failure);
                continue;
            }
        };

        let judgement = judging.of(&file)?;
        report.add(judgement.judge(strict::findings(&source), |_| true));
        let judged = if forms::is_document(&source) {
            let source = arguments.mended(source, &file, &judgement, &mut report, talk)?;
            documents(&read_any(&source), &beside, &judgement)
        } else {
            let values = match &values {
                Some(values) => values,
                None => values.insert(project.values(&arguments.values, "example")?),
            };
            manifest(&source, &catalog, values, &judgement)
        };

        judging.seen(&file, &judged.seen);
        report.add(judged);
    }

    if let Some(values) = values.filter(|_| arguments.files.is_empty()) {
        report.add_findings(unused(&values, project)?);
    }
    report.add_findings(judging.findings().cloned());
    if unreadable.is_empty() {
        report.add_findings(judging.stale(arguments.files.is_empty()));
    }

    Ok((report, Failure::all(unreadable)))
}

/// Values of the environment that no assembly and no component names.
fn unused(values: &Values, project: &Project) -> Result<Vec<Finding>, Failure> {
    let mut used = BTreeSet::from(USUAL.map(str::to_owned));
    for source in project.components()? {
        used.extend(references(&source.text));
    }

    for name in project.assemblies()? {
        used.extend(references(&project.manifest(&name)?.text));
    }

    let texts = values.names().filter_map(|name| values.get(name));
    used.extend(texts.flat_map(references));
    let unused = values.names().filter(|name| !used.contains(*name));

    // What the command line gives is nobody's leftover.
    let placed = unused.filter_map(|name| Some((name, values.place(name)?.clone())));
    Ok(placed
        .map(|(name, place)| unused_value(place, name))
        .collect())
}

/// Values that every environment has: where the task lives, and what images are usually named by.
const USUAL: [&str; 6] = [
    "account",
    "region",
    "partition",
    "cluster",
    "registry",
    "version",
];

fn files(arguments: &Arguments, project: &Project) -> Result<Vec<PathBuf>, Failure> {
    if !arguments.files.is_empty() {
        let files = arguments.files.iter();
        return Ok(files.map(|file| file_of(file, project)).collect());
    }
    let names = project.assemblies()?;
    Ok(names
        .iter()
        .map(|name| project.manifest_path(name))
        .collect())
}

/// An assembly can be named too.
fn file_of(file: &Path, project: &Project) -> PathBuf {
    match file.to_str() {
        Some(name) if !file.exists() => project.manifest_path(name),
        _ => file.to_owned(),
    }
}

/// Findings of anybody's task definition, service or request, in any form.
pub(crate) fn definition(source: &Source, judgement: &Judgement) -> Judged {
    documents(&read_any(source), &[], judgement)
}

fn documents(reading: &Reading, beside: &[Document], judgement: &Judgement) -> Judged {
    let findings = judge_beside(reading, beside);
    let may_be_judged = reading.findings.is_empty();
    let mut judged = judgement.judge(findings, |finding| {
        may_be_judged && assembly::rules::may_be_silenced(finding.rule)
    });
    let in_vain = judged.in_vain.iter();
    let in_vain: Vec<_> = in_vain.map(assembly::rulings::cannot_be_silenced).collect();
    judged.findings.extend(in_vain);
    judged
}

fn manifest(source: &Source, catalog: &Catalog, values: &Values, judgement: &Judgement) -> Judged {
    match plan_under(source, catalog, values, judgement) {
        Ok(plan) => plan.judged().clone(),
        Err(judged) => judged,
    }
}

/// A definition has containers or a family; a manifest has neither.
pub(crate) fn is_task_definition(source: &Source) -> bool {
    let is_json = Path::new(&source.name)
        .extension()
        .is_some_and(|end| end == "json");
    source::parse(source).map_or(is_json, |node| {
        node.get("containerDefinitions").is_some() || node.get("family").is_some()
    })
}
