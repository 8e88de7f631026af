//! How everybody ended, in one table, and the last words of whoever is to blame.

use std::path::Path;

use task_runner::{ContainerReport, Finished};

use crate::project::Project;
use crate::talk::Talk;

/// Says it when all is over.
pub(super) fn tell(finished: &Finished, folder: &Path, project: &Project, talk: &Talk) {
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
    let named = finished
        .guilty
        .as_ref()
        .map(|name| format!(" (`{name}`)"))
        .unwrap_or_default();
    let reason = &finished.stopped_reason;

    text.push(format!(
        "{code}{}{reason}{named}",
        if reason.is_empty() { "" } else { ": " }
    ));
    if finished.guilty.is_some() {
        text.push(NEXT.to_owned());
    }

    let guilty = finished.guilty.as_ref();
    let guilty = guilty.and_then(|name| finished.containers.iter().find(|one| one.name == *name));
    if let Some(guilty) = guilty.filter(|one| one.code != Some(0) && !one.last_lines.is_empty()) {
        text.push(format!("the last words of `{}`:", guilty.name));
        text.extend(guilty.last_lines.iter().map(|line| format!("  {line}")));
    }

    if finished.unheard > 0 {
        text.push(format!(
            "{} lines came too fast to be shown",
            finished.unheard
        ));
    }

    let folder = folder.strip_prefix(project.root()).unwrap_or(folder);
    text.push(format!("logs: {}", folder.display()));

    // In one piece, whoever else ends at this moment.
    talk.say(&text.join("\n"));
}

fn row(one: &ContainerReport) -> [String; COLUMNS] {
    let code = match one.code {
        Some(code) if one.started.is_none() => format!("{code}, never ran"),
        Some(code) => exit(code),
        None if one.started.is_none() => "never ran".to_owned(),
        None => "unknown".to_owned(),
    };

    let took = one
        .asked
        .map(|asked| one.stopped.saturating_sub(asked).as_secs_f32());
    let took = took.map(|took| {
        let killed = if one.killed { ", killed" } else { "" };
        format!("{took:.1} of {} s{killed}", one.stop_timeout.as_secs())
    });
    let ran = one
        .started
        .map(|since| one.stopped.saturating_sub(since).as_secs_f32());

    [
        one.name.clone(),
        ran.map_or_else(String::new, |ran| format!("{ran:.1} s")),
        code,
        took.unwrap_or_default(),
        one.restarts.to_string(),
        match one.peak_memory {
            0 => String::new(),
            bytes => format!("{} MiB", bytes.div_ceil(1024 * 1024)),
        },
        match one.processor_time.as_secs_f32() {
            0.0 => String::new(),
            spent => format!("{spent:.2} s"),
        },
    ]
}

/// A code, and the signal that it stands for.
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

    let signal = signals.iter().find(|(one, _)| *one == code);
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

/// What would happen after a container has ended the task.
const NEXT: &str = "on Fargate a service would start another task; RunTask would not";
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

    #[test]
    fn who_never_ran_was_ended_by_no_signal() {
        let mut one = ContainerReport {
            code: Some(143),
            ..ContainerReport::default()
        };
        assert_eq!(row(&one)[2], "143, never ran");
        one.started = Some(Duration::ZERO);
        assert_eq!(row(&one)[2], "143 SIGTERM");
        (one.started, one.code) = (None, None);
        assert_eq!(row(&one)[2], "never ran");
    }
}
