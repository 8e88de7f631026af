//! `assemble why`: explains why a task stopped.

use std::io::{Read as _, stdin};

use clap::Args;
use task_definition::stop_reasons::{StopReason, UNKNOWN_REASON, explain};

use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id or ARN of a task, or the text of a reason; `-` reads the text from stdin.
    #[arg(value_name = "TASK|TEXT", required = true, num_args = 1..)]
    what: Vec<String>,
    /// Cluster of the task, by name or ARN [default: that of the ARN, or `default`].
    #[cfg(feature = "aws")]
    #[arg(long)]
    cluster: Option<String>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    aws: super::remote::AwsArguments,
}

/// Explains the reason. Returns 1 if it is unknown.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let text = match &arguments.what[..] {
        [word] if word == "-" => read_stdin()?,
        words => words.join(" "),
    };

    if is_task(&text) {
        return task(arguments, &text, ui);
    }

    if text.trim().is_empty() {
        return Err(CliError::Usage(
            "there is no text to explain; pass a task, the text of a reason, or `-`".to_owned(),
        ));
    }
    Ok(print(&text, ui))
}

/// Prints the explanation of a text. Returns 1 if there is none.
fn print(text: &str, ui: &Ui) -> u8 {
    let Some(reason) = explain(text) else {
        ui.message(&format!("this reason is unknown; {UNKNOWN_REASON}"));
        return 1;
    };
    ui.data(&format(reason));
    0
}

/// Formats a reason: cause, next step, source.
pub(crate) fn format(reason: &StopReason) -> String {
    format!(
        "cause: {}\nnext:  {}\nsee:   {}\n",
        reason.cause, reason.next_step, reason.source
    )
}

/// Returns whether a text is the id or ARN of a task.
fn is_task(text: &str) -> bool {
    let id = match text.strip_prefix("arn:") {
        Some(rest) => rest
            .split_once(":task/")
            .map_or("", |(_, path)| path.rsplit('/').next().unwrap_or_default()),
        None => text,
    };
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    stdin()
        .take(MAX_TEXT)
        .read_to_string(&mut text)
        .map_err(|source| CliError::File {
            act: "read",
            path: "-".into(),
            source,
        })?;
    Ok(text)
}

/// A response of DescribeTasks with 100 tasks is smaller.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

/// Explains the end of a task that ECS still knows.
#[cfg(feature = "aws")]
fn task(arguments: &Arguments, task: &str, ui: &Ui) -> Result<u8, CliError> {
    use super::remote::{self, DryRun};
    use super::run;

    let cluster = arguments.cluster.as_deref().or_else(|| cluster_of(task));
    let cluster = cluster.unwrap_or("default");
    let found = remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |api| {
        Ok(ecs_client::find_task(api, cluster, task).await?)
    })?;

    let Some(stopped) = found else {
        return Err(CliError::Refused(format!(
            "there is no task {task} in cluster `{cluster}`; ECS forgets stopped tasks after about an hour: pass \
             the text of the reason instead, from an event of the service or of EventBridge"
        )));
    };
    ui.data(&run::summary(&stopped));

    if stopped.stop_code.is_none() && stopped.stopped_reason.is_none() {
        ui.message("the task has not stopped");
        return Ok(0);
    }
    Ok(print(&run::reason_text(&stopped), ui))
}

/// Returns the cluster in the ARN of a task.
#[cfg(feature = "aws")]
fn cluster_of(task: &str) -> Option<&str> {
    let (_, path) = task.split_once(":task/")?;
    path.split_once('/').map(|(cluster, _)| cluster)
}

#[cfg(not(feature = "aws"))]
fn task(_: &Arguments, task: &str, _: &Ui) -> Result<u8, CliError> {
    Err(CliError::Usage(format!(
        "this build cannot ask ECS about {task}; pass the text of the reason, or build it with the feature `aws`"
    )))
}

#[cfg(test)]
mod tests {
    use super::is_task;

    #[test]
    fn distinguishes_tasks_from_texts() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(is_task(id));
        assert!(is_task(&format!(
            "arn:aws:ecs:eu-central-1:111122223333:task/main/{id}"
        )));

        assert!(is_task(&format!(
            "arn:aws:ecs:eu-central-1:111122223333:task/{id}"
        )));
        assert!(!is_task(
            "OutOfMemoryError: Container killed due to memory usage"
        ));

        assert!(!is_task(&format!("task {id} stopped")));
        assert!(!is_task(
            "arn:aws:ecs:eu-central-1:111122223333:service/main/web"
        ));
    }
}
