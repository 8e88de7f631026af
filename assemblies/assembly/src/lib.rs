//! Turns a manifest into a plan, and a plan into documents.
//!
//! The crate is pure: it takes and returns text, and touches no file, clock, environment or network.
//!
//! ```text
//! Source ─▶ Manifest ┐
//! Source ─▶ Catalog  ┼ resolve ▶ ResolvedAssembly ─ wire ▶ Wiring ─ plan ▶ Plan ─ render ▶ Vec<Document>
//! Source ─▶ Values   ┘
//! ```
//!
//! Each stage has its own type, built only by the previous stage, so an unchecked plan cannot be
//! rendered. Start reading at [`plan()`], then follow the modules in the order of the diagram:
//! [`manifest`] (the user's file), [`component`] (the `component.yaml` of each program), [`values`]
//! (what differs by environment), [`resolve`] (roles and settings), [`wire`] (ports, addresses,
//! start order), [`mod@plan`] (sizes, permissions, the checked task definition) and [`mod@render`].
//! [`mod@rules`] has one file per rule; [`DiagnosticContext`] collects the findings of all stages, and
//! [`rule_config`] reads the suppressions with their reasons.

use diagnostics::source::Source;
use diagnostics::{Finding, Outcome, RuleConfig, Severity};
use ecs_rules::ImageFacts;

pub mod component;
pub mod diagnostic_context;
pub mod environments;
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
mod yaml;

pub use component::Catalog;
pub use diagnostic_context::DiagnosticContext;
pub use lock::{Lock, LockMode};
pub use manifest::Manifest;
pub use plan::Plan;
pub use prices::Prices;
pub use render::{Document, StackParameter, StackTemplate, render, stack_template};
pub use rules::{Rule, rule, rules};
pub use sizing::Sizing;
pub use values::Values;

/// Plans a manifest: runs every stage and returns the plan, or the findings of all stages.
pub fn plan(source: &Source, catalog: &Catalog, values: &Values) -> Result<Plan, Vec<Finding>> {
    plan_under(source, catalog, values, &RuleConfig::default()).map_err(|outcome| outcome.findings)
}

/// Plans a manifest under rule levels from outside of it: command-line flags and the project's file.
pub fn plan_under(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
    judgement: &RuleConfig,
) -> Result<Plan, Outcome> {
    plan_with_images(source, catalog, values, judgement, &ImageFacts::new())
}

/// Plans a manifest under rule levels, with what the caller has read of the images of its containers.
pub fn plan_with_images(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
    judgement: &RuleConfig,
    images: &ImageFacts,
) -> Result<Plan, Outcome> {
    let mut diagnostics = DiagnosticContext::new(judgement);
    let (manifest, findings) = manifest::read(source, values);
    let Some(manifest) = manifest else {
        diagnostics.report_fatal(findings);
        return Err(diagnostics.finish());
    };

    // The levels of the manifest apply to its own findings, so they are added before these are reported.
    let (overrides, override_findings) = rule_config::from_manifest(&manifest);
    diagnostics.add_overrides(overrides);
    diagnostics.report(findings);
    diagnostics.report(override_findings);

    // A manifest may define or override values; later stages see the merged set.
    let values = manifest.values().clone();
    // Each stage continues with what the stages before could read, so that all findings are reported together.
    let assembly = resolve::resolve(manifest, catalog, &values, &mut diagnostics);
    let wiring = wire::wire(assembly, &mut diagnostics);
    plan::plan(wiring, diagnostics, images)
}

/// Returns a manifest's wiring, or the errors that prevent it.
pub(crate) fn wiring(
    source: &Source,
    catalog: &Catalog,
    values: &Values,
) -> Result<wire::Wiring, Vec<Finding>> {
    let mut diagnostics = DiagnosticContext::new(&RuleConfig::default());
    let (manifest, findings) = manifest::read(source, values);
    diagnostics.report(findings);
    let wiring = manifest.map(|manifest| {
        let assembly = resolve::resolve(manifest, catalog, values, &mut diagnostics);
        wire::wire(assembly, &mut diagnostics)
    });
    // A manifest that could not be read has a finding, so the outcome has at least one.
    let wiring = wiring.filter(|_| !diagnostics.has_errors());
    wiring.ok_or_else(|| {
        let mut findings = diagnostics.finish().findings;
        findings.retain(|finding| finding.severity == Severity::Error);
        findings
    })
}

/// Compiles and runs the README's example under `cargo test`.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct ReadmeExamples;
