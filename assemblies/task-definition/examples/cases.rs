//! Prints the failing case of every rule as one JSON object, for other tools to look at:
//! `cargo run -p task-definition --example cases | .venv/bin/python assemblies/task-definition/tests/others.py --count`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use serde_json::{Map, Value};
use task_definition::rules;
use task_definition::source::{Source, parse};

fn main() {
    let cases = rules().iter().filter_map(|rule| {
        // What is no YAML and no JSON (Y01, Y02) nobody else could read either.
        let node = parse(&Source::new(rule.id, rule.failing)).ok()?;
        // Services and requests are no definitions.
        node.get("taskDefinition")
            .is_none()
            .then(|| (rule.id.to_owned(), node.to_json()))
    });
    println!("{}", Value::Object(cases.collect::<Map<_, _>>()));
}
