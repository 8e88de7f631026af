//! Draws what every rule says about its failing case: `cargo run -p task-definition --example findings`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use task_definition::forms::judge;
use task_definition::source::Source;
use task_definition::{Color, rules};

fn main() {
    for rule in rules() {
        let source = Source::new(format!("{}.json", rule.id.to_lowercase()), rule.failing);
        for finding in judge(&source) {
            println!("{}", finding.render(Color::No));
        }
    }
}
