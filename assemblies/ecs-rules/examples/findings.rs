//! Renders the finding of every rule about its failing case: `cargo run -p ecs-rules --example findings`.

#![allow(clippy::print_stdout, reason = "the example prints its result")]

use diagnostics::Color;
use diagnostics::source::Source;
use ecs_rules::inputs::check_input;
use ecs_rules::rules;

fn main() {
    for rule in rules() {
        let source = Source::new(
            format!("{}.json", rule.id.to_lowercase()),
            rule.failing_document(),
        );
        for finding in check_input(&source) {
            println!("{}", finding.render(Color::No));
        }
    }
}
