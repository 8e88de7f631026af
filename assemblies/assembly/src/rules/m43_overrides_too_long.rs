//! M43: an event would not fit into the overrides of a task.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M43",
    title: "an event would not fit into the overrides of a task",
    explanation: "RunTask takes 8192 characters of overrides. A key may have 1024 bytes, and a component that wants it often can go over that, on the day on which somebody uploads such a file.",
    source: "ECS API, RunTask: `Container Overrides length must be at most 8192`",
    hint: "have the component take the key once",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    failing: "\
name: shop
app: parrot
on_demand: { bucket: inbox, suffix: .txt }
",
};

/// More than RunTask takes.
pub(crate) fn too_long(place: Place, app: &str, longest: usize, most: usize) -> Finding {
    RULE.error(place,
        format!(
            "what `{app}` is told about an object can have {longest} characters, and RunTask takes {most}"
        ),
        "name `{key}` less often under `trigger` in its component.yaml",
    )
}
