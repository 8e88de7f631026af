//! Malformed and random manifests, components and locks give findings, and never a panic.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use assembly::component::Component;
use assembly::{Lock, Values, plan};
use diagnostics::source::Source;
use diagnostics::{Color, Finding};
use proptest::prelude::*;

mod support;

const MANIFEST: &str = "name: shop
summary: \"caf\u{e9}\"
app: web
ingress: [tls]
sidecars: [otel]
settings:
  web: { greeting: 'hello ${region}' }
overrides:
  web: { stopTimeout: 20, environment: [{ name: A, value: b }] }
patch: { tags: [{ key: a, value: b }] }
service: { min: 1, max: 3, target: { cpu: 60 } }
";

/// Reads a text as each kind of file, and formats the findings.
fn read_as_every_file(text: &str) {
    let source = Source::new("hostile.yaml", text);
    let catalog = support::catalog("tests/rule-catalog");
    let planned = plan(&source, &catalog, &support::values());
    let found: [Vec<Finding>; 4] = [
        planned.map_or_else(|findings| findings, |plan| plan.warnings().to_vec()),
        Component::read(&source).err().unwrap_or_default(),
        Lock::read(&source).err().unwrap_or_default(),
        Values::read(&source).err().unwrap_or_default(),
    ];

    for finding in found.iter().flatten() {
        // Formatting slices the text by spans, which could be out of bounds.
        let _ = finding.render(Color::No);
    }
}

#[test]
fn the_original_manifest_is_valid() {
    let source = Source::new("shop.yaml", MANIFEST);
    let catalog = support::catalog("tests/rule-catalog");
    let planned = plan(&source, &catalog, &support::values());
    let result = planned.map_err(|findings| support::format_findings(&findings));
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn an_unclosed_placeholder_has_a_finding() {
    // A top-level text that looks like an unresolved reference must still have a finding.
    let source = Source::new("shop.yaml", "loccoc${oc");
    let catalog = support::catalog("tests/rule-catalog");
    // Only the rule matters; the message belongs to M02.
    let findings = plan(&source, &catalog, &support::values()).expect_err("no manifest");
    assert_eq!(findings[0].rule, "M02");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_every_file(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_manifest_with_a_replaced_part_does_not_panic(
        from in 0..MANIFEST.len(), length in 0_usize..60, what in snippet(),
    ) {
        // Offsets are bytes; the manifest has a character of two bytes.
        let boundary = |at: usize| (0..=at).rev().find(|at| MANIFEST.is_char_boundary(*at)).unwrap_or(0);
        let from = boundary(from);
        let end = boundary((from + length).min(MANIFEST.len())).max(from);
        read_as_every_file(&format!("{}{what}{}", &MANIFEST[..from], &MANIFEST[end..]));
    }

    #[test]
    fn a_component_with_a_replaced_line_does_not_panic(line in 0_usize..40, what in snippet()) {
        let web = include_str!("rule-catalog/web.yaml");
        let lines = web.lines().enumerate().map(|(at, text)| if at == line { what.as_str() } else { text });
        read_as_every_file(&lines.collect::<Vec<_>>().join("\n"));
    }
}

/// Returns texts that are special in YAML, in interpolation or in a manifest.
fn snippet() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "",
        "\n",
        "\n  ",
        "- ",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "'",
        "\"",
        "#",
        "\t",
        "é",
        "\u{0}",
        "${",
        "}",
        "$${",
        "${region}",
        "name",
        "app",
        "web",
        "service",
        "on_demand",
        "size: { cpu: 4294967295 }",
        "1",
        "-1",
        "null",
        "patch: { containerDefinitions: 1 }",
        "patch: { containerDefinitions: [{ name: web, cpu: null }] }",
        "overrides: { web: { memory: 99999999999 } }",
        "overrides: { web: { image: '@' } }",
    ])
    .prop_map(str::to_owned)
}
