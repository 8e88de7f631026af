//! Manifest to plan to documents: the assembler, without a hand to touch anything.
//!
//! Text comes in, text goes out; no file, clock, environment or network is touched here.
//!
//! ```text
//! Source ─▶ Manifest ┐
//! Source ─▶ Catalog  ┼ resolve ▶ ResolvedAssembly ─ wire ▶ Wiring ─ plan ▶ Plan ─ render ▶ Vec<Document>
//! Source ─▶ Values   ┘
//! ```
//!
//! Each stage has its own type, which only the stage before it can make, so an unchecked plan cannot be
//! rendered. Start reading at [`plan()`], then follow the modules in the order of the diagram:
//! [`manifest`] (what the user writes), [`component`] (what stands beside each program), [`values`]
//! (what differs by environment), [`resolve`] (who stands where, with which settings), [`wire`] (ports,
//! addresses, order), [`mod@plan`] (sizes, permissions, the checked task definition) and [`mod@render`].
//! What can be wrong with a manifest is told by [`mod@rules`], one file a rule; a [`Diagnostics`] collects it on
//! the way, and [`rule_config`] say what is silenced, and why.

use task_definition::source::Source;
use task_definition::{Finding, Judged, Judgement};

pub mod component;
pub mod diagnostics;
pub mod graph;
pub mod import;
pub mod inject;
pub mod lock;
pub mod manifest;
pub mod plan;
pub mod prices;
pub mod render;
pub mod resolve;
pub mod rule_config;
pub mod rules;
pub mod schema;
pub mod sizing;
pub mod trigger;
pub mod values;
pub mod wire;

mod decode;
mod text;

pub use component::Catalog;
pub use diagnostics::Diagnostics;
pub use lock::{Lock, LockMode};
pub use manifest::Manifest;
pub use plan::Plan;
pub use prices::Prices;
pub use render::{Document, render};
pub use rules::{Rule, rule, rules};
pub use sizing::Sizing;
pub use values::Values;

/// Takes a manifest through every stage; the findings of a text and of what it names come together.
pub fn plan(source: &Source, catalog: &Catalog, values: &Values) -> Result<Plan, Vec<Finding>> {
    let planned = plan_under(source, catalog, values, &Judgement::default());
    planned.map_err(|judged| judged.findings)
}

/// The same under what somebody beside the manifest says about rules: flags, and a project's file.
pub fn plan_under(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
    judgement: &Judgement,
) -> Result<Plan, Judged> {
    let mut diagnostics = Diagnostics::new(judgement);
    let (manifest, findings) = manifest::read(source, values);
    let Some(manifest) = manifest else {
        diagnostics.report_fatal(findings);
        return Err(diagnostics.finish());
    };

    let (own, more) = rule_config::from_manifest(&manifest);
    diagnostics.add_overrides(own);
    diagnostics.report(findings);
    diagnostics.report(more);

    let values = manifest.values().clone();
    let assembly = resolve::resolve(manifest, catalog, &values, &mut diagnostics);
    match assembly.and_then(|assembly| wire::wire(assembly, &mut diagnostics)) {
        Some(wiring) => plan::plan(wiring, diagnostics),
        None => Err(diagnostics.finish()),
    }
}

/// A manifest's wiring, and whatever stands in its way.
pub(crate) fn wiring(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
) -> Result<wire::Wiring, Vec<Finding>> {
    let mut diagnostics = Diagnostics::new(&Judgement::default());
    let (manifest, findings) = manifest::read(source, values);
    diagnostics.report(findings);
    let assembly =
        manifest.and_then(|one| resolve::resolve(one, catalog, values, &mut diagnostics));
    let wiring = assembly.and_then(|assembly| wire::wire(assembly, &mut diagnostics));
    wiring.ok_or_else(|| diagnostics.finish().findings)
}

/// The README's example, tried by `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct ReadmeExamples;
