//! The log router of a task: who it is, and what it does with everybody's lines.

use std::collections::BTreeMap;

use serde_json::Value;
use task_definition::Finding;

use super::AssemblyMember;
use crate::component::Firelens;
use crate::manifest::Manifest;
use crate::rules;
use crate::values::{Values, interpolate};

/// The member through which the others log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRouter {
    /// Its position in the assembly.
    pub(crate) member: usize,
    /// The options of everybody's log driver; `${container}` still stands in them.
    pub(crate) output: BTreeMap<String, String>,
}

/// The first router; that there is only one is a rule of ECS.
pub(super) fn router(
    members: &[AssemblyMember],
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> Option<LogRouter> {
    let routers = members.iter().enumerate();
    let mut routers =
        routers.filter_map(|(at, one)| Some((at, one, one.component.file().firelens.as_ref()?)));
    let (member, router, firelens) = routers.next()?;
    let known = |name: &str| match name {
        "assembly" => Some(manifest.file().name.clone()),
        "container" => Some(CONTAINER.to_owned()),
        _ => values.get(name).map(str::to_owned),
    };

    let mut output = BTreeMap::new();
    for (name, text) in options(router, firelens) {
        match interpolate(&text, known) {
            Ok(filled) => {
                output.insert(name, filled);
            }
            Err(missing) => {
                let place = router
                    .component
                    .place(&format!("/settings/{}", firelens.output));
                let told = missing.iter().map(|name| {
                    rules::m14_undefined_value::undefined(place.clone(), name, values.names())
                });
                findings.extend(told);
            }
        }
    }

    Some(LogRouter { member, output })
}

impl LogRouter {
    /// The options of one container's log driver.
    pub(crate) fn options_of(&self, container: &str) -> BTreeMap<String, String> {
        let output = self.output.iter();
        output
            .map(|(name, text)| (name.clone(), text.replace(CONTAINER, container)))
            .collect()
    }
}

const CONTAINER: &str = "${container}";

/// What the user says, or else the component.
fn options(router: &AssemblyMember, firelens: &Firelens) -> Vec<(String, String)> {
    let given = router.settings.get(&firelens.output);
    let given = given.and_then(|given| serde_json::from_str(&given.text).ok());
    let declared = router.component.file().settings.get(&firelens.output);
    let value = given.or_else(|| declared?.default.clone());
    let Some(Value::Object(options)) = value else {
        return Vec::new();
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };

    options
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect()
}
