//! The log router of a task (FireLens), and the log driver options of the other containers.

use std::collections::BTreeMap;

use diagnostics::Finding;
use serde_json::Value;

use super::AssemblyMember;
use crate::component::Firelens;
use crate::manifest::Manifest;
use crate::rules;
use crate::values::{Values, interpolate};

/// The member through which the other containers log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRouter {
    /// Its index in `members`.
    pub(crate) member: usize,
    /// The options of the other containers' log driver, with `${container}` not yet interpolated.
    pub(crate) output: BTreeMap<String, String>,
}

/// Returns the first log router. ECS allows one per task, which a rule of the definition checks.
pub(super) fn router(
    members: &[AssemblyMember],
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> Option<LogRouter> {
    let routers = members.iter().enumerate();
    let mut routers = routers.filter_map(|(index, member)| {
        Some((index, member, member.component.file().firelens.as_ref()?))
    });
    let (member, router, firelens) = routers.next()?;
    let resolve = |name: &str| match name {
        "assembly" => Some(manifest.file().name.clone()),
        // Left as a placeholder: `options_of` replaces it for each container.
        "container" => Some(CONTAINER.to_owned()),
        _ => values.get(name).map(str::to_owned),
    };

    let mut output = BTreeMap::new();
    for (name, text) in options(router, firelens) {
        match interpolate(&text, resolve) {
            Ok(text) => {
                output.insert(name, text);
            }
            Err(missing) => {
                let location = router
                    .component
                    .location(&format!("/settings/{}", firelens.output));
                findings.extend(missing.iter().map(|name| {
                    rules::m14_undefined_value::undefined_value(
                        location.clone(),
                        name,
                        values.names(),
                    )
                }));
            }
        }
    }

    Some(LogRouter { member, output })
}

impl LogRouter {
    /// Returns the log driver options of one container.
    pub(crate) fn options_of(&self, container: &str) -> BTreeMap<String, String> {
        self.output
            .iter()
            .map(|(name, text)| (name.clone(), text.replace(CONTAINER, container)))
            .collect()
    }
}

const CONTAINER: &str = "${container}";

/// Returns the output options that the manifest sets, or else the component's default.
fn options(router: &AssemblyMember, firelens: &Firelens) -> Vec<(String, String)> {
    let from_manifest = router
        .settings
        .get(&firelens.output)
        .and_then(|setting| serde_json::from_str(&setting.text).ok());
    let declared = router.component.file().settings.get(&firelens.output);
    let value = from_manifest.or_else(|| declared?.default.clone());
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
