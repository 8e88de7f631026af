//! How the findings of rules are rendered.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::Color;
use diagnostics::source::Source;
use ecs_rules::check;
use task_definition::read;

#[test]
fn renders_a_caret_under_the_value() {
    // Tabs are expanded to four spaces, so the caret stays under its value.
    let text = "{\n\t\"family\": \"web\", \"requiresCompatibilities\": [\"FARGATE\"], \"networkMode\": \"awsvpc\",\n\
                \t\"cpu\": \"512\",\n\t\"memory\": \"1500\",\n\
                \t\"containerDefinitions\": [{ \"name\": \"app\", \"image\": \"app:1\" }]\n}";
    let located = read(&Source::new("task.json", text)).unwrap();
    let findings = check(&located);

    assert_eq!(
        findings
            .iter()
            .map(|finding| finding.render(Color::No))
            .collect::<String>(),
        "error[T06]: 512 CPU units with 1500 MiB is not a Fargate size
 --> task.json:4:12
  |
4 |     \"memory\": \"1500\",
  |               ^^^^^^
  = value: /memory
  = hint: choose 512 / 2048 or 512 / 1024
  = source: ECS developer guide, task CPU and memory; cfn-lint E3047
"
    );

    assert!(
        findings[0]
            .render(Color::Yes)
            .contains("\u{1b}[1;31merror[T06]\u{1b}[0m")
    );
}
