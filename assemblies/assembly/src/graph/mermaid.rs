//! The diagram as Mermaid, which GitHub and others draw.

use std::fmt::Write as _;

use super::diagram::{Diagram, Kind, Line, Node, Reach};

/// The diagram as Mermaid text.
pub fn mermaid(diagram: &Diagram) -> String {
    let mut text = format!("%% {}\nflowchart TB\n", one_line(&diagram.caption()));
    if let Some(outside) = &diagram.outside {
        let label = format!("{}<br/>{}", quoted(&outside.name), quoted(&outside.detail));
        let _ = writeln!(text, "  outside([\"{label}\"])");
    }

    let _ = writeln!(text, "  subgraph task[\"{}\"]", quoted(&diagram.name));
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

    for edge in &diagram.edges {
        let (from, to, label) = (edge.from, edge.to, quoted(&edge.label));
        let _ = writeln!(text, "  c{from} {}|\"{label}\"| c{to}", arrow(edge.line));
    }

    text.push_str(CLASSES);
    text
}

/// Names are words of their own to Mermaid (`end`), so containers are numbered and named by their labels.
fn label(node: &Node) -> String {
    let mut lines = vec![
        format!("<b>{}</b>", quoted(&node.name)),
        quoted(&node.words()),
    ];

    for port in &node.ports {
        let reach = match port.reach {
            Reach::Outside => "open to outside",
            Reach::Loopback => "loopback",
        };
        lines.push(format!("{}, {reach}", quoted(&port.words())));
    }

    let amounts = [
        node.cpu.map(|cpu| format!("{cpu} CPU")),
        node.memory.map(|memory| format!("{memory} MiB")),
    ];
    let amounts: Vec<String> = amounts.into_iter().flatten().collect();

    if !amounts.is_empty() {
        lines.push(amounts.join(" · "));
    }
    lines.push(format!("starts {} · {}", node.start, node.stop_words()));

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

/// Text inside of `"…"`: what Mermaid or HTML would read otherwise becomes an entity.
fn quoted(text: &str) -> String {
    // Mermaid takes no empty text.
    if text.is_empty() {
        return "no name".to_owned();
    }

    let mut quoted = String::new();
    for c in one_line(text).chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | '`' | ';' => {
                let _ = write!(quoted, "#{};", u32::from(c));
            }
            _ => quoted.push(c),
        }
    }

    quoted
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Colours with their own letters, so that they read on light and on dark.
const CLASSES: &str = "  classDef hop fill:#dbeafe,stroke:#2563eb,color:#1e293b
  classDef app fill:#fef3c7,stroke:#d97706,color:#1e293b
  classDef sidecar fill:#dcfce7,stroke:#16a34a,color:#1e293b
  classDef init fill:#f3e8ff,stroke:#9333ea,color:#1e293b
  classDef container fill:#cffafe,stroke:#0891b2,color:#1e293b
";
