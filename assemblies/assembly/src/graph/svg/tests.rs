//! Checks layouts: nothing overlaps or sticks out, and every arrow leads from a container to a container.

use diagnostics::source::Source;
use serde_json::{Value, json};

use super::scene::{Align, Element, End, Rect};
use super::*;
use crate::graph::diagram::Reach;
use crate::graph::measure::width;

/// Returns the diagram of a task with many dependencies, connections and telemetry between its containers.
fn dense_diagram(containers: usize, name: &str) -> Diagram {
    // The moduli pick an irregular subset of the pairs, without a cycle in `dependsOn`.
    let container = |index: usize| -> Value {
        let below = index + 1..containers;
        let awaited = below.clone().filter(|other| (index + other) % 3 != 1);
        let conditions = ["START", "HEALTHY", "SUCCESS", "COMPLETE"];
        let waits: Vec<Value> = awaited
            .map(|other| json!({ "containerName": format!("{name}-{other}"), "condition": conditions[(index * other) % 4] }))
            .collect();
        let uses: Vec<Value> = (0..containers)
            .filter(|other| (index * 7 + other * 5).is_multiple_of(4))
            .map(|other| {
                let kind = if other.is_multiple_of(2) { "OTEL" } else { "URL" };
                json!({ "name": format!("{kind}_{other}"), "value": format!("http://localhost:{}", 8000 + other) })
            })
            .collect();

        let ports: Vec<Value> = (0..index % 5)
            .map(|port| json!({ "containerPort": 8000 + index + 1000 * port, "name": format!("{name}-{port}") }))
            .collect();
        json!({
            "name": format!("{name}-{index}"), "image": "x", "cpu": 100 * index, "memory": 64 + 900 * index,
            "stopTimeout": 120, "essential": index.is_multiple_of(2), "portMappings": ports, "dependsOn": waits,
            "environment": uses, "secrets": vec![json!({ "name": "A", "valueFrom": "x" }); index],
        })
    };

    let task = json!({
        "family": format!("{name}-family"), "cpu": "16384", "memory": "32768",
        "containerDefinitions": (0..containers).map(container).collect::<Vec<_>>(),
    });
    let read = task_definition::read(&Source::new("task.json", task.to_string()));
    let mut diagram = read.map_or_else(
        |_| Diagram::from(&task_definition::TaskDefinition::default()),
        |located| Diagram::from(&located.definition),
    );

    assert_eq!(
        diagram.nodes.len(),
        containers,
        "the definition could be read"
    );
    diagram.summary = format!("{name} ").repeat(20);
    diagram.price = Some((
        "$1,234.56 a month".to_owned(),
        "us-gov-east-1, 2026-03".to_owned(),
    ));

    // Every second port, so that both kinds of chip are drawn.
    for port in diagram
        .nodes
        .iter_mut()
        .flat_map(|node| &mut node.ports)
        .step_by(2)
    {
        port.reach = Reach::Loopback;
    }

    diagram
}

fn diagrams() -> Vec<Diagram> {
    // Short, usual, wide and too long names; 1 to 10 containers cover every kind of route.
    let names = [
        "a",
        "telemetry-forwarder",
        "W",
        "a-name-that-is-much-longer-than-any-card-is-wide-enough",
    ];
    names
        .iter()
        .flat_map(|name| (1..=10).map(|count| dense_diagram(count, name)))
        .collect()
}

fn cards(diagram: &Diagram) -> Vec<Rect> {
    let sheet = Sheet::new(diagram);
    (0..diagram.nodes.len())
        .map(|index| sheet.card(index))
        .collect()
}

fn holds(outer: Rect, inner: Rect) -> bool {
    outer.x <= inner.x
        && outer.y <= inner.y
        && inner.right() <= outer.right()
        && inner.bottom() <= outer.bottom()
}

fn overlap(a: Rect, b: Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

#[test]
fn containers_do_not_overlap_and_stay_inside_the_task() {
    for diagram in diagrams() {
        let (cards, task) = (cards(&diagram), Sheet::new(&diagram).task());
        for (index, card) in cards.iter().enumerate() {
            assert!(holds(task, *card) && card.width > 500, "{card:?}");
            assert!(cards[..index].iter().all(|other| !overlap(*card, *other)));
        }
    }
}

#[test]
fn texts_fit_their_rectangles_and_do_not_overlap() {
    for diagram in diagrams() {
        let scene = scene(&diagram);
        let page = Rect {
            x: 0,
            y: 0,
            width: scene.width,
            height: scene.height,
        };

        let mut locations: Vec<(Rect, String)> = Vec::new();
        for element in &scene.elements {
            let Element::Text {
                style,
                x,
                y,
                side,
                text,
                room,
                ..
            } = element
            else {
                continue;
            };

            let text_width = width(text, style.font());
            let left = match side {
                Align::Start => *x,
                Align::Middle => x - text_width / 2,
                Align::End => x - text_width,
            };

            // The height of capitals above the baseline, about three quarters of the font size.
            let size = style.font().size;
            let location = Rect {
                x: left,
                y: y - size * 3 / 4,
                width: text_width,
                height: size,
            };

            assert!(holds(page, *room), "{text}: {room:?}");
            assert!(
                text_width <= room.width
                    && room.y <= location.y
                    && location.bottom() <= room.bottom() + 1,
                "{text}: {room:?}"
            );
            let other = locations
                .iter()
                .find(|(other, _)| overlap(*other, location));

            assert_eq!(other, None, "{text}");
            locations.push((location, text.clone()));
        }
    }
}

#[test]
fn texts_of_a_container_stay_inside_its_card() {
    for diagram in diagrams() {
        let (scene, cards) = (scene(&diagram), cards(&diagram));
        let rooms = scene.elements.iter().filter_map(|element| match element {
            Element::Text { room, text, .. } => Some((*room, text)),
            _ => None,
        });

        for (room, text) in rooms {
            // A text that touches a card must be one of that card's own texts.
            let touched = cards.iter().find(|card| overlap(**card, room));
            assert!(
                touched.is_none_or(|card| holds(*card, room)),
                "{text}: {room:?}"
            );
        }
    }
}

#[test]
fn arrows_end_at_containers_and_cross_none() {
    for diagram in diagrams() {
        let (scene, sheet) = (scene(&diagram), Sheet::new(&diagram));
        let (cards, task) = (cards(&diagram), sheet.task());
        let on_edge = |(x, y): (i32, i32)| {
            cards.iter().any(|card| {
                let beside =
                    (x == card.x || x == card.right()) && card.y <= y && y <= card.bottom();
                let across =
                    (y == card.y || y == card.bottom()) && card.x <= x && x <= card.right();
                beside || across
            })
        };

        let mut heads = 0;
        for element in &scene.elements {
            let Element::Edge { points, end, .. } = element else {
                continue;
            };
            let (first, last) = (points[0], points[points.len() - 1]);

            if first.1 > task.bottom() {
                continue; // the legend
            }
            assert!(on_edge(first) || first.0 == MARGIN + OUTSIDE, "{points:?}");
            assert!(*end == End::Plain || on_edge(last), "{points:?}");
            heads += usize::from(*end == End::Head);

            // Arrows run beside the cards, never across one, and stay inside the task.
            for pair in points.windows(2) {
                let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
                let segment = Rect {
                    x: x.min(to_x),
                    y: y.min(to_y),
                    width: (x - to_x).abs(),
                    height: (y - to_y).abs(),
                };

                assert!(
                    cards.iter().all(|card| !overlap(*card, segment)),
                    "{points:?}"
                );
                assert!(
                    segment.right() < task.right() && segment.y > task.y,
                    "{points:?}"
                );
            }
        }

        // A bus draws at least one head, for the two kinds of arrow to one container separately.
        let targets: std::collections::BTreeSet<_> = diagram
            .edges
            .iter()
            .map(|edge| (edge.to, edge.line))
            .collect();
        assert!(heads >= targets.len(), "{heads} heads for {targets:?}");
    }
}

#[test]
fn arrows_of_different_kinds_end_apart() {
    for diagram in diagrams() {
        let scene = scene(&diagram);
        let mut ends: Vec<((i32, i32), crate::graph::diagram::Line)> = Vec::new();
        for element in &scene.elements {
            let Element::Edge {
                points,
                end: End::Head,
                line,
            } = element
            else {
                continue;
            };

            // Arrows of one kind may share a head; of different kinds they must not hide each other.
            let end = points[points.len() - 1];
            assert!(
                ends.iter()
                    .all(|(other, kind)| *other != end || kind == line),
                "{end:?}"
            );
            ends.push((end, *line));
        }
    }
}

#[test]
fn escapes_names_and_summaries() {
    let mut diagram = dense_diagram(2, "a");
    diagram.nodes[0].name = "<&\"'\u{0}\u{7}>]]>".to_owned();
    diagram.summary = "5 < 6 & \"so\" on".to_owned();

    let text = svg(&diagram);
    assert!(text.contains("&lt;&amp;&quot;'&gt;]]&gt;"), "{text}");
    assert!(text.contains("5 &lt; 6 &amp; &quot;so&quot; on"));
    assert!(text.contains("<title id=\"name\">") && text.contains("<desc id=\"what\">"));

    // Every `&` in the output must begin one of these entities.
    let bare = text.split('&').skip(1).filter(|rest| {
        !["lt;", "gt;", "amp;", "quot;"]
            .iter()
            .any(|entity| rest.starts_with(entity))
    });
    assert_eq!(bare.count(), 0, "{text}");
}
