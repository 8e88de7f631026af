//! M02: wrong value type.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M02.
pub(crate) const RULE: Rule = Rule {
    id: "M02",
    name: "wrong-type",
    title: "wrong value type",
    explanation: "Every field has a type: text, a number, a list or a map. A value of another type cannot be used.",
    source: "docs/manifest.md",
    hint: "write a value of the type that the field has",
    passing: "\
name: shop
app: web
service: {}
",
    // `ingress` is a list, even with a single proxy.
    failing: Failing::Document(
        "\
name: shop
app: web
ingress: tls
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a value of another type.
pub(crate) fn wrong_type(location: Location, path: &str, expected: &str, found: &str) -> Finding {
    // The YAML reader calls an empty value `null`; a user sees an empty value.
    let found = if found == "null" { "empty" } else { found };
    let message = format!("`{path}` must be {expected}, but this is {found}");
    let hint = match (expected, found) {
        ("a map", "a list") => "write a map: the same lines without `-`".to_owned(),
        ("a list", "a string") => "write a list: put it into `[` and `]`".to_owned(),
        ("a list", "a map") => "write a list: a `-` in front of each item".to_owned(),
        _ => format!("write {expected}"),
    };
    RULE.finding(location, message, hint)
}

/// Reports an amount with a unit where a number of MiB or CPU units is expected.
pub(crate) fn has_unit(location: Location, path: &str, text: &str, amount: u32) -> Finding {
    let message = format!("`{path}` must be a whole number, without a unit as in `{text}`");
    // The schema does not say whether the field is CPU or memory; the unit does.
    let unit = if text.to_ascii_lowercase().contains("cpu") {
        "1024 CPU units are 1 vCPU"
    } else {
        "memory is in MiB"
    };
    RULE.finding(location, message, format!("write {amount}: {unit}"))
}

/// Reports a file without a map at the top level.
pub(crate) fn not_a_map(location: Location, found: &str) -> Finding {
    let message = if found == "empty" || found == "null" {
        "the file is empty".to_owned()
    } else {
        format!("the file must be a map of fields, but this is {found}")
    };
    let hint = "write `name: …` and the other fields; `assemble new` creates a template";
    RULE.finding(location, message, hint)
}

/// Reports a word that is not one of the allowed ones.
pub(crate) fn unknown_choice(location: Location, path: &str, text: &str, hint: &str) -> Finding {
    RULE.finding(location, format!("`{path}` cannot be `{text}`"), hint)
}

/// Reports a whole number that is too small or too large.
pub(crate) fn out_of_range(
    location: Location,
    path: &str,
    number: i64,
    low: i64,
    high: i64,
) -> Finding {
    RULE.finding(
        location,
        format!("`{path}` is {number}"),
        format!("write a number from {low} to {high}"),
    )
}

/// Reports a number that is too small or too large; either bound may be missing.
pub(crate) fn float_out_of_range(
    location: Location,
    path: &str,
    number: f64,
    low: Option<f64>,
    high: Option<f64>,
) -> Finding {
    let hint = match (low, high) {
        (Some(low), Some(high)) => format!("write a number from {low} to {high}"),
        (Some(low), None) => format!("write {low} or more"),
        (None, Some(high)) => format!("write {high} or less"),
        (None, None) => "write a number".to_owned(),
    };
    RULE.finding(location, format!("`{path}` is {number}"), hint)
}

/// Reports an error of the deserializer that no other check has found.
pub(crate) fn mismatch(location: Location, error: &str) -> Finding {
    RULE.finding(
        location,
        format!("the file does not match its schema: {error}"),
        "compare it with the JSON Schema in `assemblies/schema/`",
    )
}
