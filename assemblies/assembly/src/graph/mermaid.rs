//! The picture as Mermaid, which GitHub and others draw.

use std::fmt::Write as _;

use super::layout::{Line, arrows, caption};
use crate::plan::Plan;
use crate::resolve::Role;

/// The picture as Mermaid text.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = format!("%% {}\nflowchart LR\n", caption(plan));
    let _ = writeln!(text, "  subgraph task[\"{}\"]", plan.name());
    for member in plan.containers() {
        let name = member.name();
        let shape = match member.role() {
            Role::App => format!("[[\"{name}\"]]"),
            Role::Ingress => format!("[\"{name}\"]"),
            Role::Sidecar => format!("([\"{name}\"])"),
            Role::Init => format!("{{{{\"{name}\"}}}}"),
        };
        let _ = writeln!(text, "    {name}{shape}");
    }
    text.push_str("  end\n");
    entrance(&mut text, plan);
    for arrow in arrows(plan) {
        let (from, to) = (
            plan.containers()[arrow.from].name(),
            plan.containers()[arrow.to].name(),
        );
        let line = if arrow.line == Line::Dashed {
            "-.->"
        } else {
            "-->"
        };
        let _ = writeln!(text, "  {from} {line}|\"{}\"| {to}", arrow.label);
    }
    text
}

/// What leads into the task from outside.
fn entrance(text: &mut String, plan: &Plan) {
    if let Some(public) = plan.public() {
        let (interface, port, container) =
            (public.interface(), public.port(), public.container(plan));
        let _ = writeln!(
            text,
            "  internet((internet)) -->|\"{interface} :{port}\"| {container}"
        );
    }
    if let (Some(trigger), Some(app)) = (plan.on_demand(), plan.app()) {
        let (bucket, app) = (&trigger.bucket, app.name());
        let _ = writeln!(text, "  bucket[(\"{bucket}\")] -.->|\"new object\"| {app}");
    }
}
