//! `on-demand test`: evaluates one event as EventBridge and RunTask would.

use std::path::{Path, PathBuf};

use assembly::Plan;
use assembly::trigger::event::{
    MAX_OVERRIDES_CHARS, Object, Start, StartError, object_created, start,
};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `on-demand test`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly [default: the only one with `on_demand`].
    name: Option<String>,
    /// Key of the new object, not URL-encoded.
    #[arg(long, required_unless_present = "event")]
    key: Option<String>,
    /// Bucket of the object [default: the bucket in `on_demand`].
    #[arg(long)]
    bucket: Option<String>,
    /// Size of the object in bytes.
    #[arg(long, default_value_t = 1)]
    size: u64,
    /// JSON file with a whole event, as S3 sends it to EventBridge.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "bucket", "size"])]
    event: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Returns 0 if a task would start, and 1 if none would.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let (plan, name) = super::plan(
        arguments.name.as_ref(),
        &arguments.values,
        "example",
        project,
    )?;

    let event = match &arguments.event {
        Some(file) => read(file, project)?,
        None => sample_event(arguments, &plan),
    };

    let outcome = start(&plan, &event);
    ui.data(&match arguments.format {
        Format::Text => text(&name, &event, &outcome),
        Format::Json => format!("{:#}\n", as_json(&name, &event, &outcome)),
    });

    Ok(u8::from(outcome.is_err()))
}

/// Creates the event of an object that does not exist.
fn sample_event(arguments: &Arguments, plan: &Plan) -> Value {
    let bucket = plan.on_demand().map(|on_demand| on_demand.bucket.clone());
    let object = Object {
        bucket: arguments.bucket.clone().or(bucket).unwrap_or_default(),
        key: arguments.key.clone().unwrap_or_default(),
        size: arguments.size,
        // The MD5 of an empty object: any ETag is as good as another here.
        etag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        sequencer: "0000000000000001".to_owned(),
    };
    let id = "00000000-0000-0000-0000-000000000000";
    object_created(&object, id, "000000000000", "us-east-1")
}

fn read(file: &Path, project: &Project) -> Result<Value, CliError> {
    let text = project.source(file)?.text;
    serde_json::from_str(&text).map_err(|error| {
        CliError::Usage(format!("`{}` is not a JSON event: {error}", file.display()))
    })
}

fn text(name: &str, event: &Value, outcome: &Result<Start, StartError>) -> String {
    let field = |pointer: &str| {
        event
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
    };

    let object = format!(
        "s3://{}/{}",
        field("/detail/bucket/name"),
        field("/detail/object/key")
    );

    match outcome {
        Ok(start) => format!(
            "{object} starts {name}; the overrides use {} of the {MAX_OVERRIDES_CHARS} characters RunTask accepts:\n{:#}\n",
            start.characters, start.overrides
        ),
        Err(why) => format!("{object} does not start {name}: {why}\n"),
    }
}

fn as_json(name: &str, event: &Value, outcome: &Result<Start, StartError>) -> Value {
    let mut result =
        json!({ "version": 1, "assembly": name, "event": event, "starts": outcome.is_ok() });
    match outcome {
        Ok(start) => {
            result["overrides"] = start.overrides.clone();
            result["characters"] = start.characters.into();
        }
        Err(why) => result["reason"] = why.to_string().into(),
    }
    result
}
