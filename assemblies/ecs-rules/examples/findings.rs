//! Renders the finding of every rule about its failing case: `cargo run -p task-definition --example findings`.

#![allow(clippy::print_stdout, reason = "the example prints its result")]

use task_definition::inputs::check_input;
use task_definition::source::Source;
use task_definition::{Color, rules};

fn main() {
    for rule in rules() {
        let source = Source::new(format!("{}.json", rule.id.to_lowercase()), rule.failing);
        for finding in check_input(&source) {
            println!("{}", finding.render(Color::No));
        }
    }
}
