//! `assemble render`: writes the documents of assemblies, and says what they are in one table.

use std::fs;
use std::path::Path;

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
    let values = project.values(&arguments.values, "example")?;
    let prices = project.prices(&arguments.prices)?;
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    let mut all: Vec<Finding> = Vec::new();
    let mut written = 0;
    let mut plans = Vec::new();
    let mut judging = Judging::new(&arguments.rules, project)?;
    for name in &names {
        let judgement = judging.of(&project.manifest_path(name))?;
        match assembly::plan_under(&project.manifest(name)?, &catalog, &values, &judgement) {
            Ok(plan) => {
                talk.guards(plan.silenced());
                let plan = plan.priced(&prices);
                written += write(&plan, project)?;
                rows.push(row(&plan, &prices));
                add(&mut all, plan.warnings().to_vec());
                plans.push(plan);
            }
            Err(Judged { findings, .. }) => {
                rows.push([
                    name.clone(),
                    "-".into(),
                    "-".into(),
                    "-".into(),
                    "-".into(),
                    count(findings.len()),
                ]);
                add(&mut all, findings);
            }
        }
    }
    // A page that lacks an assembly would be worse than one of yesterday.
    if arguments.all && plans.len() == names.len() {
        written += super::index::write(&plans, project)?;
    }
    talk.data(&table(&rows));
    talk.say(&match written {
        0 => "nothing changed in assemblies/rendered/".to_owned(),
        1 => "1 file written into assemblies/rendered/".to_owned(),
        many => format!("{many} files written into assemblies/rendered/"),
    });
    if all
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        Err(Failure::Findings(all))
    } else {
        Ok(0)
    }
}

/// Several assemblies may name the same broken component; it is told once.
fn add(all: &mut Vec<Finding>, findings: Vec<Finding>) {
    for finding in findings {
        if !all.contains(&finding) {
            all.push(finding);
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

fn row(plan: &Plan, prices: &Prices) -> [String; COLUMNS] {
    let findings = match plan.warnings().len() {
        0 => "none".to_owned(),
        many => count(many),
    };
    [
        plan.name().to_owned(),
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
fn write(plan: &Plan, project: &Project) -> Result<usize, Failure> {
    let folder = project.root().join("assemblies/rendered").join(plan.name());
    let documents = assembly::render(plan);
    let mut written = 0;
    for Document { path, text } in &documents {
        written += usize::from(write_if_different(&folder.join(path), text)?);
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

pub(super) fn files_under(folder: &Path) -> Vec<std::path::PathBuf> {
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
