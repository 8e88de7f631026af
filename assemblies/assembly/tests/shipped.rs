//! The committed schemas, assemblies, values and components of this project.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::fs;
use std::path::PathBuf;

use assembly::component::Component;
use assembly::{Catalog, Values, plan, render, schema};
use diagnostics::source::Source;

mod support;

fn root() -> PathBuf {
    support::here("../..")
}

#[test]
fn committed_schemas_match_the_types() {
    for (name, now) in [
        ("assembly", schema::assembly()),
        ("component", schema::component()),
        ("bundle", schema::bundle()),
        ("rules", schema::rules()),
        ("prices", schema::prices()),
    ] {
        let committed = root().join(format!("assemblies/schema/{name}.json"));
        let committed = fs::read_to_string(committed).expect("a committed schema");
        assert!(
            committed == now,
            "run `assemble schema {name} > assemblies/schema/{name}.json`"
        );
    }
}

#[test]
fn every_component_is_valid() {
    let mut sources = support::project_sources();
    sources.retain(|source| source.name.ends_with("component.yaml"));
    assert!(
        sources.len() >= 5,
        "only {} components were found",
        sources.len()
    );
    for source in sources {
        let findings = Component::read(&source).err().unwrap_or_default();
        assert!(
            findings.is_empty(),
            "{}",
            support::format_findings(&findings)
        );
    }
}

#[test]
fn every_assembly_has_no_findings_in_any_environment_and_renders_reproducibly() {
    let catalog = Catalog::read(&support::project_sources());
    // Each file of values is one environment.
    for values in support::entries(&root().join("assemblies/values")) {
        let values = support::source(&values, &support::name(&values));
        let values = Values::read(&values).expect("values");
        for file in support::entries(&root().join("assemblies")) {
            if file.extension().is_none_or(|end| end != "yaml") {
                continue;
            }

            let source = support::source(&file, &support::name(&file));
            let first = plan(&source, &catalog, &values);
            let first =
                first.unwrap_or_else(|findings| panic!("{}", support::format_findings(&findings)));
            assert!(
                first.warnings().is_empty(),
                "{}",
                support::format_findings(first.warnings())
            );
            let second = plan(&source, &catalog, &values).expect("a plan");
            assert_eq!(render(&first), render(&second));
        }
    }
}

#[test]
fn the_drain_timeout_follows_the_stop_timeout() {
    let catalog = Catalog::read(&support::project_sources());
    let text = fs::read_to_string(root().join("assemblies/coins-secure.yaml")).expect("shipped");
    let values = root().join("assemblies/values/example.yaml");
    let values = Values::read(&support::source(&values, "example.yaml")).expect("values");

    // Draining ends before the stop timeout, so that the program can still exit by itself.
    for (stop, limit) in [(30, "25s"), (90, "85s"), (4, "1s")] {
        let changed = text.replace(
            "telemetry-forwarder: { stopTimeout: 30 }",
            &format!("telemetry-forwarder: {{ stopTimeout: {stop} }}"),
        );
        let source = Source::new("coins-secure.yaml", changed);
        let plan = plan(&source, &catalog, &values);
        let plan =
            plan.unwrap_or_else(|findings| panic!("{}", support::format_findings(&findings)));
        let container = plan.definition().container("telemetry-forwarder");
        let container = container.expect("the sidecar");

        assert_eq!(container.stop_timeout, Some(stop));
        let limits = container.environment.iter();
        let mut limits =
            limits.filter(|variable| variable.name == "TELEMETRY_FORWARDER_DRAIN_TIMEOUT");
        assert_eq!(
            limits.next().map(|variable| variable.value.as_str()),
            Some(limit)
        );
    }
}
