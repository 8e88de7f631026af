//! Prints the failing case of every rule as one JSON object, as input for other tools:
//! `cargo run -p ecs-rules --example cases | .venv/bin/python assemblies/ecs-rules/tests/other_tools.py --count`.

#![allow(clippy::print_stdout, reason = "the example prints its result")]

use diagnostics::source::{Source, parse};
use ecs_rules::rules;
use serde_json::{Map, Value};

fn main() {
    let cases = rules().iter().filter_map(|rule| {
        // Other tools cannot parse the cases of Y01 and Y02 either.
        let node = parse(&Source::new(rule.id, rule.failing_document())).ok()?;
        // The tools check definitions, not services or RunTask requests.
        node.get("taskDefinition")
            .is_none()
            .then(|| (rule.id.to_owned(), node.to_json()))
    });
    println!("{}", Value::Object(cases.collect::<Map<_, _>>()));
}
