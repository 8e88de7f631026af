//! The SBOM of a program: a CycloneDX document of the packages that are linked into it.
//!
//! ```text
//! Compiled (program, linked packages, features) ┐
//! Cargo.lock ─▶ Checksums ──────────────────────┼─▶ Document ─▶ JSON, attached to the image by output.rs
//! cargo metadata ─▶ dependencies ───────────────┘
//! ```
//!
//! Source: CycloneDX 1.6, <https://cyclonedx.org/docs/1.6/json/>. The same program gives the same document: there is no
//! time but `SOURCE_DATE_EPOCH`, and the serial number is derived from the content.

use std::collections::BTreeSet;

use registry::Digest;
use registry::program::Program;

use self::checksums::Checksums;
use self::document::{Component, Composition, Dependency, Document, Kind, Metadata};
use super::compile::Compiled;
use super::metadata::{Package, Workspace};
use super::target::{Target, Toolchain};

mod checksums;
mod document;
mod package;
mod runtime;

/// The facts that all SBOMs of one workspace share.
#[derive(Debug)]
pub(super) struct Inventory<'w> {
    workspace: &'w Workspace,
    toolchain: &'w Toolchain,
    checksums: Checksums,
    /// `SOURCE_DATE_EPOCH` as RFC 3339.
    timestamp: Option<String>,
}

impl<'w> Inventory<'w> {
    /// Reads the checksums in `Cargo.lock`.
    pub(super) fn read(
        workspace: &'w Workspace,
        toolchain: &'w Toolchain,
        timestamp: Option<String>,
    ) -> Self {
        Self {
            workspace,
            toolchain,
            checksums: Checksums::read(&workspace.workspace_root),
            timestamp,
        }
    }

    /// Returns the SBOM of a compiled program of a package, for the image `name`.
    pub(super) fn document(
        &self,
        name: &str,
        package: &Package,
        compiled: &Compiled<'_>,
        target: Target,
    ) -> Vec<u8> {
        let program = Component {
            kind: Kind::Application,
            name: name.to_owned(),
            hashes: vec![hash_of(&compiled.program)],
            properties: vec![platform_of(&compiled.program)],
            ..self.component(package)
        };
        let root = program.reference.clone();
        let mut components: Vec<Component> = compiled
            .linked
            .iter()
            .filter(|linked| linked.id != package.id)
            .map(|linked| self.component(linked))
            .collect();
        let mut dependencies = self.dependencies(compiled);

        // The list of crates is complete. The parts below are opaque: cargo does not know what they consist of.
        let known = dependencies.iter().map(|entry| entry.reference.clone());
        let crates = Composition::complete(known.collect());
        let (runtime, edges) = runtime::parts(self.toolchain, target);
        let opaque = runtime.iter().map(|part| part.reference.clone()).collect();
        // The standard library is the first part, and the others belong to it.
        let standard = runtime.first().map(|part| part.reference.clone());
        for entry in dependencies
            .iter_mut()
            .filter(|entry| entry.reference == root)
        {
            entry.depends_on.extend(standard.clone());
        }
        dependencies.extend(edges);
        components.extend(runtime);

        Document::new(
            Metadata::new(program, self.timestamp.clone()),
            components,
            dependencies,
            vec![crates, Composition::unknown(opaque)],
        )
        .into_json()
    }

    fn component(&self, package: &Package) -> Component {
        package::component(package, self.checksums.find(package))
    }

    /// Returns the edges between the linked packages.
    fn dependencies(&self, compiled: &Compiled<'_>) -> Vec<Dependency> {
        let ids: BTreeSet<&str> = compiled
            .linked
            .iter()
            .map(|package| package.id.as_str())
            .collect();
        let by_id = self.workspace.by_id();
        let entry = |package: &&Package| {
            let features = compiled.features.get(&package.id);
            let features = features.map(Vec::as_slice).unwrap_or_default();
            let used = self.workspace.dependencies(package, features).into_iter();
            let used = used.filter(|id| ids.contains(id));
            Dependency {
                reference: package::purl(package),
                depends_on: used
                    .filter_map(|id| by_id.get(id))
                    .map(|package| package::purl(package))
                    .collect(),
            }
        };
        compiled.linked.iter().map(entry).collect()
    }
}

/// Returns the SBOM of a program that was built elsewhere: its digest, and that nothing else is known.
pub(super) fn of_unknown(name: &str, program: &Program, timestamp: Option<String>) -> Vec<u8> {
    let component = Component {
        hashes: vec![hash_of(program)],
        properties: vec![platform_of(program)],
        ..Component::new(Kind::Application, name, name)
    };
    let composition = Composition::unknown([component.reference.clone()].into());
    let dependency = Dependency {
        reference: component.reference.clone(),
        depends_on: BTreeSet::new(),
    };

    Document::new(
        Metadata::new(component, timestamp),
        Vec::new(),
        vec![dependency],
        vec![composition],
    )
    .into_json()
}

fn hash_of(program: &Program) -> document::Hash {
    let digest = Digest::from_content(program.content());
    document::Hash::sha256(digest.hex())
}

fn platform_of(program: &Program) -> document::Property {
    document::Property {
        name: "assemble:platform",
        value: program.platform(),
    }
}
