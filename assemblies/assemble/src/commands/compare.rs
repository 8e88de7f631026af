//! `assemble compare`: what differs between two environments of an assembly, without asking AWS.

use assembly::Plan;
use clap::Args;
use serde_json::Value;
use task_definition::{Change, difference, normalise};

use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The assembly, by name or file.
    name: String,
    /// An environment under `assemblies/values/`; two of them.
    #[arg(long, value_name = "NAME", required = true)]
    environment: Vec<String>,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// Prints what is different; answers 1 when something is.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let [before, after] = arguments.environment.as_slice() else {
        return Err(Failure::Usage(
            "two environments can be compared; name them with `--environment A --environment B`"
                .to_owned(),
        ));
    };

    let prices = project.prices(&arguments.prices)?;
    let plan = |environment: &str| {
        let values = arguments.values.and(environment);
        let plan = project.plan(&arguments.name, &values, "example")?;
        Ok::<Plan, Failure>(plan.priced(&prices))
    };
    let changes = changes(&plan(before)?, &plan(after)?);

    for change in &changes {
        talk.data(&lines(change));
    }

    let name = &arguments.name;
    talk.say(&match changes.len() {
        0 => format!("`{name}` is the same in {before} and {after}"),
        many => format!("`{name}`: {many} differences between {before} (-) and {after} (+)"),
    });

    Ok(u8::from(!changes.is_empty()))
}

/// How many tasks there are and what starts them, what one costs, and the task definition.
fn changes(before: &Plan, after: &Plan) -> Vec<Change> {
    let around = |plan: &Plan| {
        serde_json::json!({
            "service": plan.service(),
            "on_demand": plan.on_demand(),
            "price": plan.price().map(|price| format!("${:.2} a month", price.month())),
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

    changes.extend(difference(
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
