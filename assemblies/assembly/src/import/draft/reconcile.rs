//! Compares the task that a draft derives with the original, and overrides what differs.

use diagnostics::Finding;
use diagnostics::source::Source;
use serde_json::{Map, Value, json};
use task_definition::{TaskDefinition, normalise};

use super::{Draft, parse_setting};
use crate::component::Catalog;
use crate::import::overlay_diff;
use crate::values::Values;

/// The maximum number of rounds of deriving the task and comparing it with the original.
const ROUNDS: usize = 4;

impl Draft {
    /// Adds overrides and a patch for every field with a derived value that differs from the original.
    pub(in crate::import) fn reconcile(
        &mut self,
        definition: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
    ) -> Result<(), Vec<Finding>> {
        let derived = self.derive(catalog, values)?;
        self.add_unwired_settings(definition, &derived);

        // An override of one container's size changes the derived sizes of the others.
        for _ in 0..ROUNDS {
            let derived = self.derive(catalog, values)?;
            if !self.override_containers(definition, &derived) {
                break;
            }
        }

        let normal_original = normalise(definition);
        let derived = self.derive(catalog, values)?;
        let sides = [&derived, definition, &normalise(&derived), &normal_original];
        let [derived, original, normal, expected] = sides.map(|task| {
            // Containers have their overrides already; the patch is for the task's fields.
            let mut task = json!(task);
            task.as_object_mut()
                .map(|fields| fields.shift_remove("containerDefinitions"));
            task
        });

        self.patch = diff_fields(&derived, &original, &normal, &expected);
        self.omit_derivable_size(definition, catalog, values);
        Ok(())
    }

    /// Overrides container fields that differ, and returns whether there were any.
    fn override_containers(
        &mut self,
        definition: &TaskDefinition,
        derived: &TaskDefinition,
    ) -> bool {
        let derived = same_task(derived, definition);
        let (normal, expected) = (normalise(&derived), normalise(definition));
        let mut any = false;

        for (at, member) in self.members.iter_mut().enumerate() {
            let sides = [&derived, definition, &normal, &expected];
            let [derived, original, normal, expected] =
                sides.map(|task| json!(task.container_definitions[at]));
            let over = diff_fields(&derived, &original, &normal, &expected);

            any |= !over.is_empty();
            for (field, value) in over {
                // A difference on top of an earlier override would replace it, so use the whole value.
                let is_repeated = member.overrides.contains_key(&field);
                let whole = original.get(&field).cloned().unwrap_or(Value::Null);
                member
                    .overrides
                    .insert(field, if is_repeated { whole } else { value });
            }
        }

        any
    }

    /// Removes the size if the derived one is the same.
    fn omit_derivable_size(
        &mut self,
        definition: &TaskDefinition,
        catalog: &Catalog,
        values: &Values,
    ) {
        let mut without = self.clone();
        without.size.retain(|field, _| field == "architecture");
        let same = without
            .derive(catalog, values)
            .is_ok_and(|derived| normalise(&derived) == normalise(definition));

        if same {
            *self = without;
        }
    }

    /// Adds the settings of existing components that the wiring does not set, or sets to another value.
    fn add_unwired_settings(&mut self, definition: &TaskDefinition, derived: &TaskDefinition) {
        for (at, member) in self.members.iter_mut().enumerate() {
            let Some(component) = &member.existing else {
                continue;
            };
            let original = &definition.container_definitions[at];
            let derived = &derived.container_definitions[at];

            for (setting, declared) in &component.file().settings {
                let variable = component.variable(setting);
                let Some(value) = original.variable(&variable) else {
                    continue;
                };

                if declared.secret || derived.variable(&variable) == Some(value) {
                    continue;
                }

                // Keep the setting only if it produces the same text again.
                let value = parse_setting(value);
                if declared.kind.text(&value).as_deref() == original.variable(&variable) {
                    member.settings.insert(setting.clone(), value);
                }
            }
        }
    }

    fn derive(&self, catalog: &Catalog, values: &Values) -> Result<TaskDefinition, Vec<Finding>> {
        let source = Source::new(format!("{}.yaml", self.name), self.manifest());
        let wiring = crate::wiring(&source, catalog, values)?;
        crate::plan::derive_definition(&wiring)
    }
}

/// Returns the original task with the derived containers, so that both are normalised with the same task fields.
fn same_task(derived: &TaskDefinition, original: &TaskDefinition) -> TaskDefinition {
    TaskDefinition {
        container_definitions: derived.container_definitions.clone(),
        ..original.clone()
    }
}

/// Returns the overlay for the fields with different normal inputs, with the spelling of the original.
fn diff_fields(
    derived: &Value,
    original: &Value,
    normal: &Value,
    expected: &Value,
) -> Map<String, Value> {
    let keys = |value: &Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };

    let mut all = keys(original);
    all.extend(
        keys(derived)
            .into_iter()
            .filter(|key| original.get(key).is_none()),
    );

    let different = all
        .into_iter()
        .filter(|key| normal.get(key) != expected.get(key));
    different
        .filter_map(|key| {
            let over = overlay_diff::diff(derived.get(&key), original.get(&key))?;
            Some((key, over))
        })
        .collect()
}
