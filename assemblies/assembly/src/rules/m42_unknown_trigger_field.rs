//! M42: a component wants something of the trigger that is not there.

use task_definition::{Finding, Place};

use super::Rule;
use crate::trigger::{FIELDS, OUTPUT_BUCKET};

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M42",
    title: "a component wants something of the trigger that is not there",
    explanation: "`trigger` of a component.yaml says which settings are filled from the event that starts a task. The event has a bucket, a key, a size and a few more; the settings are those of the component.",
    source: "S3 user guide: EventBridge event message structure; assemblies/README.md",
    hint: "name a field that there is",
    passing: "\
schema: 1
name: press
kind: app
summary: Presses a text
image: press:1
commands: { on_demand: [run] }
settings:
  input: { type: string, default: '', doc: what to press }
trigger: { input: 's3://{bucket}/{key}' }
size: { cpu: 64, memory: 64 }
",
    failing: "\
schema: 1
name: press
kind: app
summary: Presses a text
image: press:1
commands: { on_demand: [run] }
settings:
  input: { type: string, default: '', doc: what to press }
trigger: { input: 's3://{bucket}/{path}' }
size: { cpu: 64, memory: 64 }
",
};

/// Whether an event, or the assembly, says it.
pub(crate) fn is_known(field: &str) -> bool {
    field == OUTPUT_BUCKET || FIELDS.iter().any(|(known, ..)| *known == field)
}

/// A field that no event has.
pub(crate) fn unknown_field(place: Place, field: &str) -> Finding {
    let known = FIELDS
        .iter()
        .map(|(known, ..)| *known)
        .chain([OUTPUT_BUCKET]);
    let hint = crate::text::meant(field, known);

    RULE.error(
        place,
        format!("there is no `{{{field}}}` in the trigger"),
        hint,
    )
}

/// A setting that the component does not have.
pub(crate) fn unknown_setting(place: Place, setting: &str) -> Finding {
    RULE.error(
        place,
        format!("`trigger` fills `{setting}`, which is no setting of this component"),
        "add it to `settings`, or correct the name",
    )
}
