//! The diagram of a plan.

use crate::plan::{Plan, Price};
use crate::resolve::{AssemblyMember, Link, Role};

use super::diagram::{Diagram, Edge, Kind, Line, Outside, Port, Reach, draft, machine};

impl From<&Plan> for Diagram {
    fn from(plan: &Plan) -> Self {
        let task = plan.definition();
        let mut diagram = draft(task);
        plan.name().clone_into(&mut diagram.name);
        plan.summary().clone_into(&mut diagram.summary);
        diagram.size = format!("{} · {}", plan.size(), machine(task));
        diagram.price = plan.price().map(|price| price_in_words(plan, price));
        diagram.outside = outside(plan);
        diagram.boundary = "only what an arrow from outside enters can be reached from there";

        for (index, member) in plan.containers().iter().enumerate() {
            // A patch may add containers, which follow; it cannot take one away.
            if let Some(node) = diagram.nodes.get_mut(index) {
                node.kind = kind(member.role());
                node.ports = ports(plan, index);
                node.silent = "listens nowhere";
            }
        }

        diagram
            .edges
            .extend(plan.links().iter().map(|link| edge(plan, link)));
        diagram.arranged()
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

/// By the month for a task that serves, by the hour for one that ends.
fn price_in_words(plan: &Plan, price: &Price) -> (String, String) {
    let of = format!("{}, {}", price.region, price.date);
    match plan.on_demand() {
        None => (format!("${:.2} a month", price.month()), of),
        Some(_) => (format!("${:.4} an hour while it runs", price.hour), of),
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

    let app = plan
        .containers()
        .iter()
        .position(|one| one.role() == Role::App)?;
    let trigger = plan.on_demand()?;

    Some(Outside {
        name: "bucket".to_owned(),
        detail: trigger.bucket.clone(),
        line: Line::Wait,
        entries: vec![app],
    })
}

/// What a container offers while it serves; interfaces on one port stand together.
fn ports(plan: &Plan, index: usize) -> Vec<Port> {
    let member: &AssemblyMember = &plan.containers()[index];
    let listens = &plan.wiring.containers[index].listens;
    let mut ports: Vec<Port> = Vec::new();

    for (interface, provided) in &member.component().file().provides {
        let Some(address) = listens.get(&provided.setting) else {
            continue;
        };
        let port = u32::from(address.port());

        match ports.iter_mut().find(|known| known.port == port) {
            Some(known) => known.interface = format!("{}, {interface}", known.interface),
            None => ports.push(Port {
                interface: interface.clone(),
                port,
                reach: if address.ip().is_loopback() {
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
