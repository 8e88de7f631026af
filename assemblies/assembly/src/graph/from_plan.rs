//! The diagram of a plan, with roles, links and price.

use crate::plan::{Plan, Price};
use crate::resolve::{AssemblyMember, Link, Role, RunMode};

use super::diagram::{Diagram, Edge, Kind, Line, Node, Outside, Port, Reach, architecture, draft};

impl From<&Plan> for Diagram {
    fn from(plan: &Plan) -> Self {
        let task = plan.definition();
        let mut diagram = draft(task);
        plan.name().clone_into(&mut diagram.name);
        plan.summary().clone_into(&mut diagram.summary);
        diagram.size = format!("{} · {}", plan.size(), architecture(task));
        diagram.price = plan.price().map(|price| format_price(plan, price));
        diagram.outside = outside(plan);
        diagram.boundary = "only containers with an arrow from outside can be reached from there";

        for (index, member) in plan.containers().iter().enumerate() {
            // A patch can append containers but not remove any, so indexes match.
            if let Some(node) = diagram.nodes.get_mut(index) {
                node.kind = kind(member.role());
                node.ports = ports(plan, index);
                node.no_ports_note = "no listening port";
            }
        }

        let entries = diagram
            .outside
            .as_ref()
            .map_or(&[][..], |outside| &outside.entries);
        let mut inner = diagram.nodes.iter().enumerate();
        let is_open = |node: &Node| node.ports.iter().any(|port| port.reach == Reach::Outside);
        if inner.any(|(index, node)| is_open(node) && !entries.contains(&index)) {
            diagram.boundary =
                "ports open to outside can be reached without the hops in front of them";
        }

        diagram
            .edges
            .extend(plan.links().iter().map(|link| edge(plan, link)));
        diagram.arrange()
    }
}

fn kind(role: Role) -> Kind {
    match role {
        Role::Ingress => Kind::Hop,
        Role::App => Kind::App,
        Role::Sidecar => Kind::Sidecar,
        Role::Init => Kind::Init,
    }
}

/// Formats the price: per month for a service, per hour for an on-demand task.
fn format_price(plan: &Plan, price: &Price) -> (String, String) {
    let source = format!("{}, {}", price.region, price.date);
    match plan.on_demand() {
        None => (format!("${:.2} a month per task", price.month()), source),
        Some(_) => (format!("${:.4} an hour while it runs", price.hour), source),
    }
}

fn outside(plan: &Plan) -> Option<Outside> {
    if let Some(public) = plan.public() {
        return Some(Outside {
            name: "internet".to_owned(),
            detail: format!("{} :{}", public.interface(), public.port()),
            line: Line::Request,
            entries: vec![public.member],
        });
    }

    // No public port: the task is started by events, which reach the app.
    let app = plan
        .containers()
        .iter()
        .position(|member| member.role() == Role::App)?;
    let trigger = plan.on_demand()?;

    Some(Outside {
        name: "bucket".to_owned(),
        detail: trigger.bucket.clone(),
        line: Line::Wait,
        entries: vec![app],
    })
}

/// Returns the ports of a container; interfaces on the same port share an entry.
fn ports(plan: &Plan, index: usize) -> Vec<Port> {
    let member: &AssemblyMember = &plan.containers()[index];
    let listens = &plan.wiring.containers[index].listens;
    let mut ports: Vec<Port> = Vec::new();

    for (interface, provided) in &member.component().file().provides {
        let (port, is_loopback) = match listens.get(&provided.setting) {
            Some(address) => (address.port(), address.ip().is_loopback()),
            // A program whose address cannot be set listens on all addresses.
            None if provided.setting.is_empty() && member.run_mode() == RunMode::Service => {
                (provided.port, false)
            }
            // A one-shot task serves nothing.
            None => continue,
        };
        let port = u32::from(port);

        match ports.iter_mut().find(|known| known.port == port) {
            Some(known) => known.interface = format!("{}, {interface}", known.interface),
            None => ports.push(Port {
                interface: interface.clone(),
                port,
                reach: if is_loopback {
                    Reach::Loopback
                } else {
                    Reach::Outside
                },
            }),
        }
    }

    ports
}

fn edge(plan: &Plan, link: &Link) -> Edge {
    // A program with a fixed port has no listen setting, so it has no assigned address.
    let provided = &plan.containers()[link.provider].component().file().provides[&link.interface];
    let listens = &plan.wiring.containers[link.provider].listens;
    let port = listens
        .get(&provided.setting)
        .map_or(provided.port, std::net::SocketAddr::port);

    Edge {
        from: link.user,
        to: link.provider,
        line: if link.requirement.is_none() {
            Line::Telemetry
        } else {
            Line::Request
        },
        label: format!("{} :{port}", link.interface),
    }
}
