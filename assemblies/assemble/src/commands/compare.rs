//! `assemble compare`: compares an assembly between two environments, without AWS.

use assembly::Plan;
use assembly::environments::check_names;
use clap::Args;
use serde_json::Value;
use task_definition::{Change, diff, normalise};

use crate::arguments::{PriceArguments, ValueArguments};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `compare`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly, by name or path.
    name: String,
    /// Environment under `assemblies/values/`; give two.
    #[arg(long, value_name = "NAME", required = true)]
    environment: Vec<String>,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// Prints the differences. Returns 1 if there are any.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let [before, after] = arguments.environment.as_slice() else {
        return Err(CliError::Usage(
            "expected two environments: `--environment A --environment B`".to_owned(),
        ));
    };

    let prices = project.prices(&arguments.prices)?;
    let plan = |environment: &str| {
        let values = arguments.values.and(environment);
        let plan = project.plan(&arguments.name, &values, "example")?;
        Ok::<Plan, CliError>(plan.with_prices(&prices))
    };
    let changes = changes(&plan(before)?, &plan(after)?);

    for change in &changes {
        ui.data(&lines(change));
    }

    let name = &arguments.name;
    let environments = [before, after].map(|environment| {
        let values = arguments.values.and(environment);
        project.values(&values, "example")
    });
    let environments = environments.into_iter().collect::<Result<Vec<_>, _>>()?;
    // In one account the two could not exist side by side.
    let collision = check_names(&project.manifest(name)?, &environments);
    if let Some(finding) = &collision {
        ui.message(finding.render(ui.color()).trim_end());
    }
    ui.message(&match changes.len() {
        0 => format!("`{name}` is the same in {before} and {after}"),
        1 => format!("`{name}`: 1 difference between {before} (-) and {after} (+)"),
        count => format!("`{name}`: {count} differences between {before} (-) and {after} (+)"),
    });

    Ok(u8::from(!changes.is_empty() || collision.is_some()))
}

/// Returns the differences of trigger or task count, price, and task definition.
fn changes(before: &Plan, after: &Plan) -> Vec<Change> {
    let around = |plan: &Plan| {
        serde_json::json!({
            "service": plan.service(),
            "on_demand": plan.on_demand(),
            "price": plan.price().map(|price| format!("${:.2} a month per task", price.month())),
        })
    };

    let (was, is) = (around(before), around(after));
    let fields = ["service", "on_demand", "price"].into_iter();
    let mut changes: Vec<Change> = fields
        .filter(|field| was[field] != is[field])
        .map(|field| Change {
            pointer: field.to_owned(),
            before: Some(was[field].clone()).filter(|value| !value.is_null()),
            after: Some(is[field].clone()).filter(|value| !value.is_null()),
        })
        .collect();

    // Normalised, so that an omitted field equals its default.
    changes.extend(diff(
        &normalise(before.definition()),
        &normalise(after.definition()),
    ));

    changes
}

fn lines(change: &Change) -> String {
    let line = |sign: char, value: &Option<Value>| {
        let line = value.as_ref().map(|value| format!("  {sign} {value}\n"));
        line.unwrap_or_default()
    };
    let (before, after) = (line('-', &change.before), line('+', &change.after));
    format!("{}\n{before}{after}", change.pointer)
}
