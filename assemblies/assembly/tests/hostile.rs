//! Manifests, components and locks that were written to hurt, or by nobody: findings, and never a panic.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use assembly::component::Component;
use assembly::{Lock, Values, plan};
use proptest::prelude::*;
use task_definition::source::Source;
use task_definition::{Color, Finding};

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

/// Reads a text as each kind of file there is.
fn survive(text: &str) {
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
        let _ = finding.render(Color::No);
    }
}

#[test]
fn the_manifest_that_is_spoilt_is_a_good_one() {
    let source = Source::new("shop.yaml", MANIFEST);
    let catalog = support::catalog("tests/rule-catalog");
    let planned = plan(&source, &catalog, &support::values());
    let told = planned.map_err(|findings| support::told(&findings));
    assert!(told.is_ok(), "{told:?}");
}

#[test]
fn a_text_with_an_open_placeholder_is_not_refused_without_a_word() {
    let source = Source::new("shop.yaml", "loccoc${oc");
    let catalog = support::catalog("tests/rule-catalog");
    let findings = plan(&source, &catalog, &support::values()).expect_err("no manifest");
    assert_eq!(findings[0].rule, "M02");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_manifest_with_a_part_cut_out_or_replaced_is_survived(
        from in 0..MANIFEST.len(), length in 0_usize..60, what in word(),
    ) {
        let boundary = |at: usize| (0..=at).rev().find(|at| MANIFEST.is_char_boundary(*at)).unwrap_or(0);
        let from = boundary(from);
        let end = boundary((from + length).min(MANIFEST.len())).max(from);
        survive(&format!("{}{what}{}", &MANIFEST[..from], &MANIFEST[end..]));
    }

    #[test]
    fn a_component_with_a_line_replaced_is_survived(line in 0_usize..40, what in word()) {
        let web = include_str!("rule-catalog/web.yaml");
        let lines = web.lines().enumerate().map(|(at, text)| if at == line { what.as_str() } else { text });
        survive(&lines.collect::<Vec<_>>().join("\n"));
    }
}

fn word() -> impl Strategy<Value = String> {
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
