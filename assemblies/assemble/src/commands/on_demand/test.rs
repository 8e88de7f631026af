//! `on-demand test`: one event, looked at as EventBridge and RunTask would.

use std::path::{Path, PathBuf};

use assembly::Plan;
use assembly::trigger::event::{MOST_OVERRIDES, NoStart, Object, Start, created, start};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Which object.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The assembly; the only one with `on_demand` when left out.
    name: Option<String>,
    /// The key of the new object, as it is.
    #[arg(long, required_unless_present = "event")]
    key: Option<String>,
    /// Its bucket; the one that is watched when left out.
    #[arg(long)]
    bucket: Option<String>,
    /// Its size in bytes.
    #[arg(long, default_value_t = 1)]
    size: u64,
    /// A whole event as S3 sends it to EventBridge, in JSON, instead of a key.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "bucket", "size"])]
    event: Option<PathBuf>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Answers 0 when a task would start, and 1 when none would.
pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let (plan, name) = super::plan(
        arguments.name.as_ref(),
        &arguments.values,
        "example",
        project,
    )?;

    let event = match &arguments.event {
        Some(file) => read(file, project)?,
        None => imagined(arguments, &plan),
    };

    let outcome = start(&plan, &event);
    talk.data(&match arguments.format {
        Format::Text => text(&name, &event, &outcome),
        Format::Json => format!("{:#}\n", as_json(&name, &event, &outcome)),
    });

    Ok(u8::from(outcome.is_err()))
}

/// The event of an object that nobody has written.
fn imagined(arguments: &Arguments, plan: &Plan) -> Value {
    let watched = plan.on_demand().map(|on_demand| on_demand.bucket.clone());
    let object = Object {
        bucket: arguments.bucket.clone().or(watched).unwrap_or_default(),
        key: arguments.key.clone().unwrap_or_default(),
        size: arguments.size,
        etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        sequencer: "0000000000000001".to_owned(),
    };
    let id = "00000000-0000-0000-0000-000000000000";
    created(&object, id, "000000000000", "us-east-1")
}

fn read(file: &Path, project: &Project) -> Result<Value, Failure> {
    let text = project.source(file)?.text;
    serde_json::from_str(&text).map_err(|error| {
        Failure::Usage(format!("`{}` is no event in JSON: {error}", file.display()))
    })
}

fn text(name: &str, event: &Value, outcome: &Result<Start, NoStart>) -> String {
    let of = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
    };

    let object = format!(
        "s3://{}/{}",
        of("/detail/bucket/name"),
        of("/detail/object/key")
    );

    match outcome {
        Ok(start) => format!(
            "{object} starts {name}; its overrides have {} of the {MOST_OVERRIDES} characters that RunTask takes:\n{:#}\n",
            start.characters, start.overrides
        ),
        Err(why) => format!("{object} does not start {name}: {why}\n"),
    }
}

fn as_json(name: &str, event: &Value, outcome: &Result<Start, NoStart>) -> Value {
    let mut told =
        json!({ "version": 1, "assembly": name, "event": event, "starts": outcome.is_ok() });
    match outcome {
        Ok(start) => {
            told["overrides"] = start.overrides.clone();
            told["characters"] = start.characters.into();
        }
        Err(why) => told["why"] = why.to_string().into(),
    }
    told
}
