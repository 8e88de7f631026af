//! Explanations of known sizes.

use diagnostics::source::Source;
use task_definition::read;

use super::*;

fn sizing(cpu: u32, memory: u32, containers: &str) -> Sizing {
    let text = format!(
        r#"{{ "family": "f", "cpu": "{cpu}", "memory": "{memory}", "containerDefinitions": [{containers}] }}"#
    );
    let located = read(&Source::new("task.json", text)).expect("a definition");
    Sizing::from_definition(&located.definition, "us-east-1", Prices::built_in())
}

fn text(sizing: &Sizing) -> String {
    sizing.text(Prices::built_in())
}

#[test]
fn offers_a_smaller_size_that_already_fits() {
    let sizing = sizing(
        512,
        1024,
        r#"{ "name": "coins", "cpu": 128, "memory": 512, "memoryReservation": 400 },
           { "name": "tls", "cpu": 64, "memory": 200, "memoryReservation": 152 }"#,
    );

    // 256 CPU units hold the 192, but 512 MiB do not hold the 552.
    let text = text(&sizing);
    assert!(
        text.contains("the containers require 192 CPU units and 552 MiB"),
        "{text}"
    );

    assert!(
        text.contains("which fit 0.25 vCPU · 1 GB: $7.39 less a month"),
        "{text}"
    );
}

#[test]
fn names_the_container_that_requires_most_of_the_excess_resource() {
    let sizing = sizing(
        256,
        1024,
        r#"{ "name": "coins", "cpu": 128, "memory": 512, "memoryReservation": 400 },
           { "name": "tls", "cpu": 64, "memory": 200, "memoryReservation": 152 }"#,
    );

    let text = text(&sizing);
    assert!(
        text.contains("coins requires 400 of the 552 MiB\n"),
        "{text}"
    );
    assert!(
        text.contains(
            // 552 MiB less the 512 of the next smaller size.
            "40 MiB less would fit 0.25 vCPU · 0.5 GB: $1.62 less a month"
        ),
        "{text}"
    );

    assert_eq!(sizing.set_by(), "coins (memory)");
    assert_eq!(
        sizing.larger,
        Some(Size {
            cpu: 256,
            memory: 2048
        })
    );
}

#[test]
fn does_not_guess_missing_requirements() {
    let sizing = sizing(1024, 2048, r#"{ "name": "app" }"#);
    assert!(text(&sizing).contains("app sets neither cpu nor memory"));
    assert!(sizing.smaller.is_none());
}

#[test]
fn shows_no_price_for_an_unsupported_size() {
    let sizing = sizing(512, 1500, r#"{ "name": "app", "cpu": 64, "memory": 128 }"#);
    let text = text(&sizing);
    assert!(
        text.contains("Fargate does not support this size; the nearest is 0.5 vCPU · 2 GB\n"),
        "{text}"
    );
    let this = text.lines().find(|line| line.starts_with("this "));
    assert!(this.is_some_and(|line| !line.contains('$')), "{text}");
}

#[test]
fn handles_the_smallest_and_the_largest_size() {
    let smallest = sizing(256, 512, r#"{ "name": "app", "cpu": 64, "memory": 128 }"#);
    assert!(text(&smallest).contains("this is the smallest size of all"));
    let largest = sizing(
        32768,
        249_856,
        r#"{ "name": "app", "cpu": 32768, "memory": 249856 }"#,
    );

    // Nothing is above 32 vCPU and 244 GB.
    assert_eq!(largest.larger, None);
    assert_eq!(
        largest.json(Prices::built_in())["constraints"][0]["container"],
        "app"
    );
}
