//! Prints what differs between two task definitions, container by container.

use std::fmt::Write as _;

use diagnostics::Color;
use ecs_client::Plan;
use serde_json::{Value, json};
use task_definition::{Change, TaskDefinition, diff, normalise};

use crate::commands::remote::color::{BOLD, GREEN, RED, paint};
use crate::ui::Ui;

/// Prints the changes of a plan, or nothing if it has none.
pub(crate) fn print_plan(plan: &Plan, ui: &Ui) {
    let Some(wanted) = plan.wanted_revision() else {
        return;
    };
    let running = plan.service().revision();
    match compare(plan.running(), wanted) {
        Some(changes) => {
            ui.message(&format!("changes to {running}:"));
            ui.message(format(&changes, ui.color_of_messages()).trim_end());
        }
        // A definition of a later ECS, which this program cannot read, can still be deployed with other images.
        None => ui.message(&format!("{running} has fields that cannot be compared")),
    }
}

/// Returns the changes between two definitions as ECS returns or takes them; defaults are no changes.
pub(crate) fn compare(before: &Value, after: &Value) -> Option<Vec<Change>> {
    let read = |value: &Value| serde_json::from_value::<TaskDefinition>(value.clone()).ok();
    Some(diff(&normalise(&read(before)?), &normalise(&read(after)?)))
}

/// Formats changes: one heading for each container, and for the task.
pub(crate) fn format(changes: &[Change], color: Color) -> String {
    let mut text = String::new();
    let mut last = None;
    for change in changes {
        let (place, path) = split(&change.pointer);
        if last.as_deref() != Some(&*place) {
            let _ = writeln!(text, "{}", paint(&place, BOLD, color));
            last = Some(place);
        }
        let _ = writeln!(text, "  {path}");
        for (sign, value, style) in [('-', &change.before, RED), ('+', &change.after, GREEN)] {
            if let Some(value) = value {
                let line = format!("    {sign} {value}");
                let _ = writeln!(text, "{}", paint(&line, style, color));
            }
        }
    }
    text
}

/// Returns changes as JSON.
pub(crate) fn to_json(changes: &[Change]) -> Value {
    let entry = |change: &Change| {
        let (place, path) = split(&change.pointer);
        json!({ "place": place, "path": path, "before": change.before, "after": change.after })
    };
    changes.iter().map(entry).collect()
}

/// Splits a pointer into the place (`container app`, `service`, `task`) and the path in it.
fn split(pointer: &str) -> (String, String) {
    let path = |rest: &str| rest.replace("~1", "/").replace("~0", "~");
    if let Some(rest) = pointer.strip_prefix("/containerDefinitions/") {
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        return (format!("container {}", path(name)), path(rest));
    }
    if let Some(rest) = pointer.strip_prefix("/service/") {
        return ("service".to_owned(), path(rest));
    }
    ("task".to_owned(), path(pointer.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use diagnostics::Color;
    use serde_json::json;
    use task_definition::Change;

    use super::format;

    #[test]
    fn changes_are_grouped_by_container() {
        let change = |pointer: &str| Change {
            pointer: pointer.to_owned(),
            before: Some(json!(1)),
            after: None,
        };
        let changes = [
            change("/containerDefinitions/app/cpu"),
            change("/containerDefinitions/app/dockerLabels/a~1b"),
            change("/memory"),
            change("/service/scaling/max"),
        ];
        assert_eq!(
            format(&changes, Color::No),
            "container app\n  cpu\n    - 1\n  dockerLabels/a/b\n    - 1\ntask\n  memory\n    - 1\nservice\n  scaling/max\n    - 1\n"
        );
        assert!(format(&changes, Color::Yes).contains("\x1b[31m    - 1\x1b[0m"));
    }
}
