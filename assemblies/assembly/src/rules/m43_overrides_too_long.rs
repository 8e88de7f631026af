//! M43: event may exceed the container-override limit.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M43.
pub(crate) const RULE: Rule = Rule {
    id: "M43",
    name: "overrides-too-long",
    title: "event may exceed the container-override limit",
    explanation: "RunTask accepts 8192 characters of overrides. A key may have 1024 bytes, and a component that uses it several times can exceed the limit when an object with such a key is uploaded.",
    source: "ECS API, RunTask: `Container Overrides length must be at most 8192`",
    hint: "use the key only once",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    // `parrot` uses the key eight times: 8 × 1024 characters, and the JSON around them.
    failing: Failing::Document(
        "\
name: shop
app: parrot
on_demand: { bucket: inbox, suffix: .txt }
",
    ),
    ..MANIFEST
};

/// Reports overrides that may be longer than RunTask accepts.
pub(crate) fn too_long_message(
    location: Location,
    app: &str,
    longest: usize,
    most: usize,
) -> Finding {
    RULE.finding(
        location,
        format!(
            "the overrides of `{app}` can have {longest} characters; RunTask accepts at most {most}"
        ),
        "use `{key}` less often under `trigger` in its component.yaml",
    )
}
