//! Prints a change set.

use std::fmt::Write as _;

use diagnostics::Color;
use ecs_client::{PropertyChange, Replacement, ResourceChange, StackPlan};

use crate::commands::remote::color::{GREEN, RED, YELLOW, paint};
use crate::ui::Ui;

/// Prints what a change set changes. `running` is the difference to the definition that runs.
pub(super) fn print(stack: &str, plan: &StackPlan, running: Option<&str>, ui: &Ui) {
    let what = if plan.is_new() {
        "new stack"
    } else {
        "changes to the stack"
    };
    ui.message(&format!("{what} `{stack}`:"));
    let text = format(plan.changes(), running.is_some(), ui.color_of_messages());
    ui.message(text.trim_end());
    if let Some(running) = running.filter(|text| !text.is_empty()) {
        ui.message("changes to what runs:");
        ui.message(running.trim_end());
    }
}

/// Formats the resources of a change set: one line each, with the properties that change.
fn format(changes: &[ResourceChange], has_running: bool, color: Color) -> String {
    let mut text = String::new();
    for change in changes {
        let (sign, style, note) = match (change.action.as_str(), change.replacement) {
            ("Add", _) => ("+", GREEN, ""),
            ("Remove", _) => ("-", RED, ""),
            (_, Replacement::Yes) => ("-/+", RED, "  replaced"),
            (_, Replacement::Maybe) => ("~", RED, "  perhaps replaced"),
            (_, Replacement::No) => ("~", YELLOW, ""),
        };
        let line = format!("  {sign} {}  {}{note}", change.name, change.kind);
        let _ = writeln!(text, "{}", paint(&line, style, color));

        // The containers are shown by the difference to what runs.
        if has_running && change.kind == "AWS::ECS::TaskDefinition" {
            continue;
        }
        for property in &change.properties {
            let _ = writeln!(text, "      {}", property_line(property));
        }
    }
    text
}

fn property_line(property: &PropertyChange) -> String {
    let is_short = |text: &&String| text.chars().count() <= MAX_VALUE;
    let before = property.before.as_ref().filter(is_short);
    let after = property.after.as_ref().filter(is_short);
    match (before, after) {
        (Some(before), Some(after)) => format!("{}: {before} -> {after}", property.path),
        (None, Some(after)) if property.before.is_none() => format!("{}: {after}", property.path),
        _ => property.path.clone(),
    }
}

/// Longer values, such as policies, would hide the rest.
const MAX_VALUE: usize = 80;

#[cfg(test)]
mod tests {
    use diagnostics::Color;
    use ecs_client::{PropertyChange, Replacement, ResourceChange};

    use super::format;

    fn change(action: &str, replacement: Replacement) -> ResourceChange {
        ResourceChange {
            action: action.to_owned(),
            name: "Service".to_owned(),
            kind: "AWS::ECS::Service".to_owned(),
            replacement,
            properties: vec![PropertyChange {
                path: "ServiceName".to_owned(),
                before: Some("a".to_owned()),
                after: Some("b".to_owned()),
            }],
        }
    }

    #[test]
    fn replacements_are_red_and_have_their_properties() {
        let changes = [change("Modify", Replacement::Yes)];
        assert_eq!(
            format(&changes, false, Color::No),
            "  -/+ Service  AWS::ECS::Service  replaced\n      ServiceName: a -> b\n"
        );
        assert!(format(&changes, false, Color::Yes).starts_with("\x1b[31m  -/+ Service"));
        assert!(
            !format(&[change("Modify", Replacement::No)], false, Color::Yes).contains("\x1b[31m")
        );
    }
}
