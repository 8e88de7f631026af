//! Merges the fields that components and users set into the derived task definition.

use diagnostics::{LocationMap, escape};
use serde_json::Value;

use crate::manifest::Manifest;
use crate::plan::merge;
use crate::wire::Wiring;

/// Merges the components' `container:`, then the containers' overrides, then the patch of the task.
pub(super) fn merge_overrides(wiring: &Wiring, value: &mut Value, locations: &mut LocationMap) {
    let manifest = &wiring.assembly.manifest;
    for (index, member) in wiring.assembly.members.iter().enumerate() {
        let pointer = format!("/containerDefinitions/{index}");
        let component_fields = &member.component.file().container;
        if let (Some(container), Some(fields)) = (value.pointer_mut(&pointer), component_fields) {
            let overlay = Value::Object(fields.clone());
            merge::merge(
                container,
                &overlay,
                &pointer,
                "/container",
                &mut |pointer, from| {
                    locations.replace(pointer, member.component.location(from));
                },
            );
        }

        // The user's overrides come after the component's fields, so that they win.
        let Some(overrides) = manifest.file().overrides.get(member.component.name()) else {
            continue;
        };
        let from = format!("/overrides/{}", escape(member.component.name()));

        if let Some(container) = value.pointer_mut(&pointer) {
            let overlay = Value::Object(overrides.clone());
            merge::merge(
                container,
                &overlay,
                &pointer,
                &from,
                &mut |pointer, from| replace(locations, manifest, pointer, from),
            );
        }
    }

    // The patch is last: it wins over everything else.
    if let Some(patch) = &manifest.file().patch {
        let patch = Value::Object(patch.clone());
        merge::merge(value, &patch, "", "/patch", &mut |pointer, from| {
            replace(locations, manifest, pointer, from);
        });
    }
}

/// Records the origin of a value that the manifest has replaced.
fn replace(locations: &mut LocationMap, manifest: &Manifest, pointer: String, from: &str) {
    locations.replace(pointer.as_str(), manifest.location(from));
    // The manifest's `${…}` is text; the reader gives it the type of the field.
    if manifest.is_interpolated(from) {
        locations.mark_interpolated(pointer);
    }
}
