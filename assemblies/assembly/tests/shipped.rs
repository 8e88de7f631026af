//! What is committed in this project: schemas, assemblies, values, components.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::PathBuf;

use assembly::component::Component;
use assembly::{Catalog, Values, plan, render, schema};
use task_definition::source::Source;

mod support;

fn root() -> PathBuf {
    support::here("../..")
}

#[test]
fn committed_schemas_are_those_of_the_types() {
    for (name, now) in [
        ("assembly", schema::assembly()),
        ("component", schema::component()),
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

fn components() -> Vec<Source> {
    let folders = ["sidecars", "apps", "assemblies/components"]
        .map(|folder| support::entries(&root().join(folder)));
    let files = folders
        .into_iter()
        .flatten()
        .map(|folder| folder.join("component.yaml"));
    files
        .filter(|file| file.is_file())
        .map(|f| support::source(&f, &f.to_string_lossy()))
        .collect()
}

#[test]
fn every_component_fits_its_form() {
    for source in components() {
        let findings = Component::read(&source).err().unwrap_or_default();
        assert!(findings.is_empty(), "{}", support::told(&findings));
    }
}

#[test]
fn every_assembly_is_without_findings_in_every_environment_and_rendered_twice_the_same() {
    let catalog = Catalog::read(&components());
    for values in support::entries(&root().join("assemblies/values")) {
        let values = support::source(&values, &support::name(&values));
        let values = Values::read(&values).expect("values");
        for file in support::entries(&root().join("assemblies")) {
            if file.extension().is_none_or(|end| end != "yaml") {
                continue;
            }

            let source = support::source(&file, &support::name(&file));
            let once = plan(&source, &catalog, &values);
            let once = once.unwrap_or_else(|findings| panic!("{}", support::told(&findings)));
            assert!(
                once.warnings().is_empty(),
                "{}",
                support::told(once.warnings())
            );
            let twice = plan(&source, &catalog, &values).expect("a plan");
            assert_eq!(render(&once), render(&twice));
        }
    }
}

#[test]
fn a_container_drains_as_long_as_its_stop_timeout_lets_it_and_no_longer() {
    let catalog = Catalog::read(&components());
    let text = fs::read_to_string(root().join("assemblies/coins-secure.yaml")).expect("shipped");
    let values = root().join("assemblies/values/example.yaml");
    let values = Values::read(&support::source(&values, "example.yaml")).expect("values");

    for (stop, limit) in [(30, "25s"), (90, "85s"), (4, "1s")] {
        let changed = text.replace(
            "telemetry-forwarder: { stopTimeout: 30 }",
            &format!("telemetry-forwarder: {{ stopTimeout: {stop} }}"),
        );
        let source = Source::new("coins-secure.yaml", changed);
        let plan = plan(&source, &catalog, &values);
        let plan = plan.unwrap_or_else(|findings| panic!("{}", support::told(&findings)));
        let container = plan.definition().container("telemetry-forwarder");
        let container = container.expect("the sidecar");

        assert_eq!(container.stop_timeout, Some(stop));
        let limits = container.environment.iter();
        let mut limits = limits.filter(|one| one.name == "TELEMETRY_FORWARDER_DRAIN_LIMIT");
        assert_eq!(limits.next().map(|one| one.value.as_str()), Some(limit));
    }
}
