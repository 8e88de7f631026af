//! M42: unknown trigger field.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};
use crate::trigger::{FIELDS, OUTPUT_BUCKET};

/// The description of M42.
pub(crate) const RULE: Rule = Rule {
    id: "M42",
    name: "unknown-trigger-field",
    title: "unknown trigger field",
    explanation: "`trigger` in a component.yaml says which settings are filled from the event that starts a task. The event has the bucket, the key, the size and a few other fields; the settings are those of the component.",
    source: "S3 user guide: EventBridge event message structure; docs/manifest.md",
    hint: "name an existing field",
    passing: "\
schema: 1
name: press
kind: app
summary: Compresses a text
image: press:1
commands: { on_demand: [run] }
settings:
  input: { type: string, default: '', doc: the input }
trigger: { input: 's3://{bucket}/{key}' }
size: { cpu: 64, memory: 64 }
",
    // The field for the object's key is `key`, not `path`.
    failing: Failing::Change(
        "trigger: { input: 's3://{bucket}/{key}' }",
        "trigger: { input: 's3://{bucket}/{path}' }",
    ),
    ..MANIFEST
};

/// Returns whether the event or the assembly has this field.
pub(crate) fn is_known(field: &str) -> bool {
    field == OUTPUT_BUCKET || FIELDS.iter().any(|(known, ..)| *known == field)
}

/// Reports a field that no event has.
pub(crate) fn unknown_field(location: Location, field: &str) -> Finding {
    let known = FIELDS
        .iter()
        .map(|(known, ..)| *known)
        .chain([OUTPUT_BUCKET]);
    let hint = crate::text::suggest(field, known);

    RULE.finding(
        location,
        format!("the trigger has no field `{{{field}}}`"),
        hint,
    )
}

/// Reports a setting that the component does not declare.
pub(crate) fn unknown_setting(location: Location, setting: &str) -> Finding {
    RULE.finding(
        location,
        format!("`trigger` fills `{setting}`, which is not a setting of this component"),
        "add it to `settings`, or correct the name",
    )
}
