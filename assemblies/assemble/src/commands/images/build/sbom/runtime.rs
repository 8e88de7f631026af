//! The parts of every static program that are no packages of cargo.

use super::super::target::{Target, Toolchain};
use super::document::{Component, Dependency, Kind, LicenseChoice};

/// Returns the standard library first, then what it is linked with, and the edges between them.
pub(super) fn parts(toolchain: &Toolchain, target: Target) -> (Vec<Component>, Vec<Dependency>) {
    let version = Some(toolchain.version.clone());
    let parts = vec![
        part("rust-std", version, "MIT OR Apache-2.0"),
        part("glibc", toolchain.libc_version(target), "LGPL-2.1-or-later"),
        // The unwinder: the crate `unwind` of the standard library links gcc_eh into static programs.
        part("libgcc", None, "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ];

    let references: Vec<String> = parts.iter().map(|part| part.reference.clone()).collect();
    // Every Rust program links the others through the standard library.
    let edge = references
        .split_first()
        .map(|(standard, others)| Dependency {
            reference: standard.clone(),
            depends_on: others.iter().cloned().collect(),
        });
    (parts, edge.into_iter().collect())
}

fn part(name: &str, version: Option<String>, license: &str) -> Component {
    let version_part = version
        .as_ref()
        .map(|version| format!("@{version}"))
        .unwrap_or_default();
    let purl = format!("pkg:generic/{name}{version_part}");
    Component {
        version,
        licenses: vec![LicenseChoice::Expression(license.to_owned())],
        purl: Some(purl.clone()),
        ..Component::new(Kind::Library, &purl, name)
    }
}
