//! Starts the tasks and waits for them. Ctrl-C asks once whether to stop them; they run on otherwise.

use std::io::{IsTerminal, stdin};
use std::pin::pin;
use std::time::Instant;

use ecs_client::{Interrupt, Progress, RunRequest, StartedTask, TaskOutcome};
use tokio::sync::oneshot;

use super::report;
use crate::commands::remote::{Connection, SIGINT, Signals};
use crate::error::CliError;
use crate::ui::Ui;

/// Runs the tasks and returns the exit code.
pub(super) async fn run(
    connection: &Connection,
    request: &RunRequest,
    ui: &Ui,
) -> Result<u8, CliError> {
    let begun = Instant::now();
    let mut signals = Signals::new()?;
    let (started, interrupted) = start(connection, request, &mut signals, ui).await?;
    if let Some(code) = interrupted {
        report_left(&started, request, ui);
        return Ok(code);
    }

    let on_progress = |progress: Progress<'_>| print(&progress, ui);
    // The timeout includes the attempts to start the task.
    let left = request.wait.after(begun.elapsed());
    let wait = ecs_client::wait(connection, &request.cluster, &started, left, on_progress);
    let mut wait = pin!(wait);
    let mut question = Question::NotAsked;

    loop {
        tokio::select! {
            outcomes = &mut wait => return Ok(finish(&outcomes?, connection, ui)),
            code = signals.next() => {
                if code == SIGINT && matches!(question, Question::NotAsked) && stdin().is_terminal() {
                    question = Question::Asked(ask(ui));
                } else {
                    report_left(&started, request, ui);
                    return Ok(code);
                }
            }
            answer = question.answer() => {
                question = Question::Answered;
                if answer == Answer::Leave {
                    report_left(&started, request, ui);
                    return Ok(SIGINT);
                }
                ecs_client::stop(connection, &request.cluster, &started).await?;
                ui.message("stopping the task; press Ctrl-C again to leave it to ECS");
            }
        }
    }
}

/// Starts the tasks. A signal ends the attempts, but not a call in progress, since that may start a task.
async fn start(
    connection: &Connection,
    request: &RunRequest,
    signals: &mut Signals,
    ui: &Ui,
) -> Result<(Vec<StartedTask>, Option<u8>), CliError> {
    let (sender, mut interrupt) = Interrupt::new();
    let on_progress = |progress: Progress<'_>| print(&progress, ui);
    let mut start = pin!(ecs_client::start(
        connection,
        request,
        &mut interrupt,
        on_progress
    ));

    let mut interrupted = None;

    loop {
        tokio::select! {
            started = &mut start => return match (started, interrupted) {
                (Ok(started), _) => Ok((started, interrupted)),
                // The attempts ended because of the signal; the message names what was started.
                (Err(error), Some(_)) => {
                    ui.message(&error.to_string());
                    Ok((Vec::new(), interrupted))
                }
                (Err(error), None) => Err(error.into()),
            },
            code = signals.next() => {
                interrupted = Some(code);
                sender.send_replace(true);
                ui.message("stopping as soon as ECS has responded");
            }
        }
    }
}

fn print(progress: &Progress<'_>, ui: &Ui) {
    match progress {
        Progress::Started(task) => ui.message(&format!("started {}", task.task)),
        Progress::Status { task, status } => {
            let id = task.rsplit('/').next().unwrap_or(task);
            ui.message(&format!("  {id} {status}"));
        }
        Progress::Retry { reason, delay } => ui.message(&format!(
            "  {reason}; next attempt within {:.0} s",
            delay.as_secs_f32().ceil()
        )),
        Progress::Log { container, text } => ui.data(&format!("{container} | {text}\n")),
        Progress::NoLogs(reason) => ui.message(&format!("cannot show the output: {reason}")),
    }
}

fn finish(outcomes: &[TaskOutcome], connection: &Connection, ui: &Ui) -> u8 {
    if connection.is_dry_run() {
        return 0;
    }
    report::finish(outcomes, ui)
}

fn report_left(started: &[StartedTask], request: &RunRequest, ui: &Ui) {
    for StartedTask { task, .. } in started {
        ui.message(&format!(
            "{task} runs on; to stop it: aws ecs stop-task --cluster {} --task {task}",
            request.cluster
        ));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Stop,
    Leave,
}

enum Question {
    NotAsked,
    Asked(oneshot::Receiver<Answer>),
    Answered,
}

impl Question {
    /// Waits for the answer; for ever if there is no question.
    async fn answer(&mut self) -> Answer {
        match self {
            // Without an answer (the end of the input) the task is left alone.
            Self::Asked(answer) => answer.await.unwrap_or(Answer::Leave),
            Self::NotAsked | Self::Answered => std::future::pending().await,
        }
    }
}

/// Asks on the terminal. The thread that reads may outlive the answer, so that it ends with the process.
fn ask(ui: &Ui) -> oneshot::Receiver<Answer> {
    // Also with `--quiet`: without the question the command would seem to hang.
    ui.ask("\nstop the task? [y] stop it, [n] leave it running: ");
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = stdin().read_line(&mut line);
        let _ = sender.send(parse_answer(&line));
    });
    receiver
}

fn parse_answer(line: &str) -> Answer {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" | "s" | "stop" => Answer::Stop,
        _ => Answer::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, parse_answer};

    #[test]
    fn only_a_clear_yes_stops_the_task() {
        for yes in ["y\n", "Yes\n", " stop "] {
            assert_eq!(parse_answer(yes), Answer::Stop, "{yes}");
        }
        for no in ["n\n", "", "\n", "what?"] {
            assert_eq!(parse_answer(no), Answer::Leave, "{no}");
        }
    }
}
