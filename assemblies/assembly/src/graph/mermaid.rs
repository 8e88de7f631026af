//! Renders a diagram as Mermaid, which GitHub and other tools display.

use std::fmt::Write as _;

use super::diagram::{Diagram, Kind, Line, Node, Reach};

/// Renders a diagram as Mermaid text.
pub fn mermaid(diagram: &Diagram) -> String {
    // A Mermaid comment ends with the line, so line breaks in the caption must not get into it.
    let mut text = format!("%% {}\nflowchart TB\n", one_line(&diagram.caption()));
    if let Some(outside) = &diagram.outside {
        let label = format!(
            "{}<br/>{}",
            escape_label(&outside.name),
            escape_label(&outside.detail)
        );
        let _ = writeln!(text, "  outside([\"{label}\"])");
    }

    let _ = writeln!(text, "  subgraph task[\"{}\"]", escape_label(&diagram.name));
    for (index, node) in diagram.nodes.iter().enumerate() {
        let _ = writeln!(
            text,
            "    c{index}[\"{}\"]:::{}",
            label(node),
            class(node.kind)
        );
    }

    text.push_str("  end\n");
    if let Some(outside) = &diagram.outside {
        let arrow = arrow(outside.line);
        for entry in &outside.entries {
            let _ = writeln!(text, "  outside {arrow} c{entry}");
        }
    }

    // Labels are quoted, since they contain spaces and colons.
    for edge in &diagram.edges {
        let (from, to, label) = (edge.from, edge.to, escape_label(&edge.label));
        let _ = writeln!(text, "  c{from} {}|\"{label}\"| c{to}", arrow(edge.line));
    }

    text.push_str(CLASSES);
    text
}

/// Returns the label of a node.
///
/// Nodes have numbers as ids, since a name can be a Mermaid keyword (`end`).
fn label(node: &Node) -> String {
    let mut lines = vec![
        format!("<b>{}</b>", escape_label(&node.name)),
        escape_label(&node.description()),
    ];

    for port in &node.ports {
        let reach = match port.reach {
            Reach::Outside => "open to outside",
            Reach::Loopback => "loopback",
        };
        lines.push(format!("{}, {reach}", escape_label(&port.label())));
    }

    // Definitions may leave out either, so the line has only the known ones.
    let amounts = [
        node.cpu.map(|cpu| format!("{cpu} CPU")),
        node.memory.map(|memory| format!("{memory} MiB")),
    ];
    let amounts: Vec<String> = amounts.into_iter().flatten().collect();

    if !amounts.is_empty() {
        lines.push(amounts.join(" · "));
    }
    lines.push(format!("starts {} · {}", node.start, node.stop_label()));

    lines.join("<br/>")
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Hop => "hop",
        Kind::App => "app",
        Kind::Sidecar => "sidecar",
        Kind::Init => "init",
        Kind::Container => "container",
    }
}

fn arrow(line: Line) -> &'static str {
    match line {
        Line::Request => "-->",
        Line::Telemetry | Line::Wait => "-.->",
    }
}

/// Escapes text for use between quotes: characters with a meaning in Mermaid or HTML become entities.
fn escape_label(text: &str) -> String {
    // Mermaid rejects an empty label.
    if text.is_empty() {
        return "no name".to_owned();
    }

    let mut escaped = String::new();
    for c in one_line(text).chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | '`' | ';' => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }

    escaped
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Fill and text colours that are readable on light and dark pages.
const CLASSES: &str = "  classDef hop fill:#dbeafe,stroke:#2563eb,color:#1e293b
  classDef app fill:#fef3c7,stroke:#d97706,color:#1e293b
  classDef sidecar fill:#dcfce7,stroke:#16a34a,color:#1e293b
  classDef init fill:#f3e8ff,stroke:#9333ea,color:#1e293b
  classDef container fill:#cffafe,stroke:#0891b2,color:#1e293b
";
