//! Draws what every rule says about its failing case: `cargo run -p task-definition --example findings`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use task_definition::source::Source;
use task_definition::{Color, check, read, rules};

fn main() {
    for rule in rules() {
        let source = Source::new(format!("{}.json", rule.id.to_lowercase()), rule.failing);
        let findings = read(&source).map_or_else(|findings| findings, |located| check(&located));
        for finding in findings {
            println!("{}", finding.render(Color::No));
        }
    }
}
