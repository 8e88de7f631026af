//! Chooses between the image of a component and that of a bundle that contains it.

use diagnostics::Finding;
use serde_json::{Map, Value};

use super::{AssemblyMember, interpolate_image};
use crate::component::{Bundle, Catalog, Kind};
use crate::manifest::{Images, Manifest};
use crate::values::Values;

/// Makes members use the image of a bundle, if it contains two or more of them.
///
/// A task then pulls one image for them, and its containers share the pages of one file in memory.
pub(super) fn share_images(
    members: &mut [AssemblyMember],
    manifest: &Manifest,
    catalog: &Catalog,
    values: &Values,
    findings: &mut Vec<Finding>,
) {
    let images = manifest.file().images;
    for bundle in catalog.bundles() {
        let bundle = match bundle {
            Ok(bundle) => bundle,
            // Only an assembly that could use the bundle is affected by a mistake in its file.
            Err(broken) => {
                if images == Images::Bundle && sidecars(members) > 1 {
                    findings.extend_from_slice(broken);
                }
                continue;
            }
        };

        let choices: Vec<Choice> = members
            .iter()
            .map(|member| choose(member, bundle, manifest))
            .collect();
        let count = choices.iter().filter(|choice| **choice != Choice::Own);
        let shares = images == Images::Bundle && count.count() > 1;

        // Without a member that takes it, the values of the image need not exist.
        let image = (shares && choices.contains(&Choice::Any)).then(|| {
            let location = || bundle.location("/image");
            interpolate_image(&bundle.file().image, values, findings, location)
        });
        for (member, choice) in members.iter_mut().zip(&choices) {
            match (choice, &image) {
                (Choice::Any, Some(image)) => member.image.clone_from(image),
                (Choice::Bundle, _) => {}
                _ => continue,
            }
            member.bundle = Some(bundle.clone());
        }
    }
}

/// The images that a member can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Only its own: the bundle does not contain it, or the manifest sets fields that fit only this image.
    Own,
    /// Its own or the bundle's.
    Any,
    /// The bundle's, which the manifest names.
    Bundle,
}

fn choose(member: &AssemblyMember, bundle: &Bundle, manifest: &Manifest) -> Choice {
    let component = &member.component;
    let is_own = component.file().container.is_some();
    if member.bundle.is_some() || is_own || !bundle.contains(component.name()) {
        return Choice::Own;
    }

    let overlays = overlays(member, manifest);
    // The last overlay wins, as in the merge.
    let image = overlays.iter().rev().find_map(|fields| fields.get("image"));
    if let Some(image) = image {
        return match image.as_str() {
            Some(image) if bundle.has_image(image) => Choice::Bundle,
            _ => Choice::Own,
        };
    }

    let path = format!("/{}", component.name());
    let is_pinned = |fields: &&Map<String, Value>| {
        fields.contains_key("entryPoint") || names_program(fields, &path)
    };
    if overlays.iter().any(is_pinned) {
        Choice::Own
    } else {
        Choice::Any
    }
}

/// Returns the fields that the manifest sets in a container: those of `overrides:`, then those of `patch:`.
fn overlays<'m>(member: &AssemblyMember, manifest: &'m Manifest) -> Vec<&'m Map<String, Value>> {
    let overrides = manifest.file().overrides.get(member.component.name());
    let patch = manifest.file().patch.as_ref();
    let containers = patch.and_then(|patch| patch.get("containerDefinitions")?.as_array());
    let patched = containers
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .filter(|fields| fields.get("name").and_then(Value::as_str) == Some(member.name()));

    overrides.into_iter().chain(patched).collect()
}

/// Returns whether the health check runs the program of the component's own image.
fn names_program(fields: &Map<String, Value>, path: &str) -> bool {
    let command = fields
        .get("healthCheck")
        .and_then(|check| check.get("command")?.as_array());
    let mut words = command.into_iter().flatten().filter_map(Value::as_str);
    words.any(|word| word.split_whitespace().any(|part| part == path))
}

/// Returns the number of proxies and sidecars with an image of this project.
fn sidecars(members: &[AssemblyMember]) -> usize {
    let files = members.iter().map(|member| member.component.file());
    let own = files.filter(|file| {
        file.container.is_none() && matches!(file.kind, Kind::Proxy | Kind::Sidecar)
    });
    own.count()
}
