//! Prints how the tasks ended.

use ecs_client::{StoppedTask, TaskOutcome};
use task_definition::stop_reasons::{exit_code_text, explain};

use crate::commands::why;
use crate::ui::Ui;

/// Prints all tasks and returns the exit code of the first one that failed.
pub(super) fn finish(outcomes: &[TaskOutcome], ui: &Ui) -> u8 {
    let mut code = 0;
    for outcome in outcomes {
        let task_code = match outcome {
            TaskOutcome::Reached(task) => {
                ui.data(&format!("{}\n", task.task));
                0
            }
            TaskOutcome::Stopped(stopped) => {
                ui.data(&summary(stopped));
                exit_code(stopped)
            }
        };

        if task_code != 0 {
            print_cause(outcome, ui);
        }
        if code == 0 {
            code = task_code;
        }
    }
    code
}

/// Returns the exit code of a task; 125 if no essential container ran.
fn exit_code(stopped: &StoppedTask) -> u8 {
    // ECS reports codes from 0 to 255; anything else counts as failure.
    let code = stopped
        .exit_code
        .map(|code| u8::try_from(code).unwrap_or(u8::MAX));
    code.unwrap_or(super::FAILED)
}

/// Prints the cause of a failure and the next step, if the reason is known.
fn print_cause(outcome: &TaskOutcome, ui: &Ui) {
    let TaskOutcome::Stopped(stopped) = outcome else {
        return;
    };
    if let Some(reason) = explain(&reason_text(stopped)) {
        ui.message(why::format(reason).trim_end());
    }
}

/// Returns everything that ECS says about the end of a task, for the table of reasons.
pub(crate) fn reason_text(stopped: &StoppedTask) -> String {
    let mut texts: Vec<String> = Vec::new();
    texts.extend(stopped.stopped_reason.clone());
    texts.extend(stopped.stop_code.clone());
    for container in stopped
        .containers
        .iter()
        .filter(|container| container.essential)
    {
        texts.extend(container.reason.clone());
        texts.extend(container.exit_code.map(exit_code_text));
    }
    texts.join(" ")
}

pub(crate) fn summary(finished: &StoppedTask) -> String {
    let lines = finished.containers.iter().map(|end| {
        let ran = |code: i32| format!("exit {code}");
        let code = end.exit_code.map_or_else(|| "never ran".to_owned(), ran);
        let reason = end.reason.as_deref().unwrap_or_default();
        format!("{}  {code}  {reason}", end.name)
            .trim_end()
            .to_owned()
            + "\n"
    });

    let code = finished.stop_code.as_deref().unwrap_or("STOPPED");
    let reason = finished
        .stopped_reason
        .as_deref()
        .unwrap_or("no reason given");

    lines.collect::<String>() + &format!("{code}: {reason}\n")
}
