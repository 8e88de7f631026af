//! Prints how each container ended, and the last output of the one that ended the task.

use std::path::Path;

use task_definition::stop_reasons::{self, StopReason};
use task_runner::{ContainerReport, TaskReport};

use crate::commands::why;
use crate::project::Project;
use crate::ui::Ui;

/// Prints the summary of a finished task.
pub(super) fn print(finished: &TaskReport, folder: &Path, project: &Project, ui: &Ui) {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(finished.containers.iter().map(row));
    let mut text = vec![String::new()];
    text.extend(
        rows.iter()
            .map(|row| line(row, &rows).trim_end().to_owned()),
    );

    let code = finished
        .stop_code
        .map_or_else(|| "ended".to_owned(), |code| code.to_string());
    let culprit = finished
        .cause
        .as_ref()
        .map(|name| format!(" (`{name}`)"))
        .unwrap_or_default();
    let reason = &finished.stopped_reason;

    text.push(format!(
        "{code}{}{reason}{culprit}",
        if reason.is_empty() { "" } else { ": " }
    ));
    if finished.cause.is_some() {
        text.push(SERVICE_NOTE.to_owned());
    }

    let cause = finished.cause.as_ref().and_then(|name| {
        finished
            .containers
            .iter()
            .find(|container| container.name == *name)
    });
    if let Some(cause) =
        cause.filter(|cause| cause.exit_code != Some(0) && !cause.last_lines.is_empty())
    {
        text.push(format!("last output of `{}`:", cause.name));
        text.extend(cause.last_lines.iter().map(|line| format!("  {line}")));
    }

    if let Some(reason) = explain(finished) {
        text.push(why::format(reason).trim_end().to_owned());
    }

    if finished.dropped_events > 0 {
        text.push(format!(
            "{} lines were not printed because they came too fast",
            finished.dropped_events
        ));
    }

    let folder = folder.strip_prefix(project.root()).unwrap_or(folder);
    text.push(format!("logs: {}", folder.display()));

    // One call, so that output of a process that ends at the same moment cannot split it.
    ui.message(&text.join("\n"));
}

/// Explains the end of a task that failed, as ECS would report it.
fn explain(finished: &TaskReport) -> Option<&'static StopReason> {
    let cause = finished.cause.as_ref()?;
    let container = finished
        .containers
        .iter()
        .find(|container| container.name == *cause)?;
    if container.exit_code == Some(0) {
        return None;
    }

    let code = container.exit_code.map(stop_reasons::exit_code_text);
    let reason = container.reason.as_deref().unwrap_or_default();
    let text = format!(
        "{reason} {} {}",
        finished.stopped_reason,
        code.unwrap_or_default()
    );
    let found = stop_reasons::explain(&text)?;
    // The summary says already that an essential container exited.
    let is_general = |pattern: &str| pattern.starts_with("essential container");
    (!found.patterns.iter().any(|pattern| is_general(pattern))).then_some(found)
}

fn row(container: &ContainerReport) -> [String; COLUMNS] {
    let code = match container.exit_code {
        Some(code) if container.started_at.is_none() => format!("{code}, never ran"),
        Some(code) => exit(code),
        None if container.started_at.is_none() => "never ran".to_owned(),
        None => "unknown".to_owned(),
    };

    let took = container
        .stop_requested_at
        .map(|asked| container.stopped_at.saturating_sub(asked).as_secs_f32());
    let took = took.map(|took| {
        let killed = if container.killed { ", killed" } else { "" };
        format!(
            "{took:.1} of {} s{killed}",
            container.stop_timeout.as_secs()
        )
    });
    let ran = container
        .started_at
        .map(|since| container.stopped_at.saturating_sub(since).as_secs_f32());

    [
        container.name.clone(),
        ran.map_or_else(String::new, |ran| format!("{ran:.1} s")),
        code,
        took.unwrap_or_default(),
        container.restarts.to_string(),
        match container.peak_memory {
            0 => String::new(),
            bytes => format!("{} MiB", bytes.div_ceil(1024 * 1024)),
        },
        match container.cpu_time.as_secs_f32() {
            0.0 => String::new(),
            spent => format!("{spent:.2} s"),
        },
    ]
}

/// Formats an exit code with the signal it means: 128 + the signal's number.
fn exit(code: i32) -> String {
    let signals = [
        (130, "SIGINT"),
        (131, "SIGQUIT"),
        (132, "SIGILL"),
        (134, "SIGABRT"),
        (135, "SIGBUS"),
        (136, "SIGFPE"),
        (137, "SIGKILL"),
        (139, "SIGSEGV"),
        (141, "SIGPIPE"),
        (143, "SIGTERM"),
    ];

    let signal = signals.iter().find(|(number, _)| *number == code);
    signal.map_or_else(|| code.to_string(), |(_, name)| format!("{code} {name}"))
}

fn line(row: &[String; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let cells = row
        .iter()
        .enumerate()
        .map(|(at, cell)| format!("{cell:0$}", width(at)));
    cells.collect::<Vec<_>>().join("   ")
}

/// Printed after a container has ended the task: `up` runs a single task.
const SERVICE_NOTE: &str = "on Fargate a service would start another task; RunTask would not";
const COLUMNS: usize = 7;
const TITLES: [&str; COLUMNS] = [
    "container",
    "ran",
    "exit",
    "stop took",
    "restarts",
    "peak memory",
    "CPU",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failing_task(reason: Option<&str>, code: i32) -> TaskReport {
        TaskReport {
            stop_code: None,
            stopped_reason: "Essential container in task exited".to_owned(),
            cause: Some("app".to_owned()),
            was_running: true,
            containers: vec![ContainerReport {
                name: "app".to_owned(),
                exit_code: Some(code),
                reason: reason.map(str::to_owned),
                ..ContainerReport::default()
            }],
            dropped_events: 0,
        }
    }

    #[test]
    fn explains_a_failure_as_ecs_would_report_it() {
        let memory = Some("OutOfMemoryError: Container killed due to memory usage");
        let cause = |report: TaskReport| explain(&report).map(|reason| reason.cause);
        assert!(
            cause(failing_task(memory, 137)).is_some_and(|cause| cause.contains("more memory"))
        );
        assert!(cause(failing_task(None, 139)).is_some_and(|cause| cause.contains("SIGSEGV")));
        // An exit code of the program's own says nothing, and success needs no explanation.
        assert_eq!(cause(failing_task(None, 3)), None);
        assert_eq!(cause(failing_task(None, 0)), None);
    }

    #[test]
    fn shows_no_signal_for_a_container_that_never_ran() {
        let mut container = ContainerReport {
            exit_code: Some(143),
            ..ContainerReport::default()
        };
        assert_eq!(row(&container)[2], "143, never ran");
        // Only a container that has run can have ended by a signal.
        container.started_at = Some(Duration::ZERO);
        assert_eq!(row(&container)[2], "143 SIGTERM");
        (container.started_at, container.exit_code) = (None, None);
        assert_eq!(row(&container)[2], "never ran");
    }
}
