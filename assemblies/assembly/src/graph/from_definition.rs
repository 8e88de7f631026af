//! The diagram of anybody's task definition: what it says, and what can be read between its lines.

use task_definition::{Condition, ContainerDefinition, PortMapping, TaskDefinition};

use super::diagram::{Diagram, Edge, Kind, Line, Outside, Port, Reach, draft, machine};
use crate::plan::Size;

impl From<&TaskDefinition> for Diagram {
    fn from(task: &TaskDefinition) -> Self {
        let mut diagram = draft(task);
        diagram.size = size(task, diagram.whole);
        let containers = &task.container_definitions;
        for (node, container) in diagram.nodes.iter_mut().zip(containers) {
            node.kind = kind(task, container);
            node.ports = container.port_mappings.iter().filter_map(port).collect();
        }
        diagram.edges.extend(uses(containers));
        diagram.outside = outside(task, containers);
        diagram.arranged()
    }
}

fn size(task: &TaskDefinition, whole: (Option<u32>, Option<u32>)) -> String {
    match whole {
        (Some(cpu), Some(memory)) => format!("{} · {}", Size { cpu, memory }, machine(task)),
        _ => "no size for the task".to_owned(),
    }
}

/// One whose end somebody awaits runs first; one that may die stands beside.
fn kind(task: &TaskDefinition, one: &ContainerDefinition) -> Kind {
    let edges = task
        .container_definitions
        .iter()
        .flat_map(|other| &other.depends_on);
    let ends = |condition| matches!(condition, Condition::Success | Condition::Complete);
    let mut awaited = edges.filter(|edge| edge.container_name == one.name && ends(edge.condition));

    if awaited.next().is_some() {
        Kind::Init
    } else if one.is_essential() {
        Kind::Container
    } else {
        Kind::Sidecar
    }
}

fn port(mapping: &PortMapping) -> Option<Port> {
    let interface = mapping
        .name
        .as_ref()
        .or(mapping.app_protocol.as_ref())
        .or(mapping.protocol.as_ref());
    let first = || {
        mapping
            .container_port_range
            .as_ref()?
            .split('-')
            .next()?
            .parse()
            .ok()
    };

    Some(Port {
        interface: interface.map_or("tcp", String::as_str).to_owned(),
        port: mapping.container_port.or_else(first)?,
        reach: Reach::Outside,
    })
}

/// Every mapped port can be reached from the task's network.
fn outside(task: &TaskDefinition, containers: &[ContainerDefinition]) -> Option<Outside> {
    let mapped = containers
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.port_mappings.is_empty());
    let entries: Vec<usize> = mapped.map(|(index, _)| index).collect();

    (!entries.is_empty()).then(|| Outside {
        name: "network".to_owned(),
        detail: task
            .network_mode
            .clone()
            .unwrap_or_else(|| "bridge".to_owned()),
        line: Line::Request,
        entries,
    })
}

/// Variables in which one container names a port of another on the loopback.
fn uses(containers: &[ContainerDefinition]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (from, user) in containers.iter().enumerate() {
        for variable in &user.environment {
            let Some(port) = loopback_port(&variable.value) else {
                continue;
            };
            let owner = containers.iter().enumerate().find(|(_, one)| {
                one.port_mappings
                    .iter()
                    .any(|mapping| mapping.container_port == Some(port))
            });

            if let Some((to, _)) = owner.filter(|(to, _)| *to != from) {
                let (line, what) = if variable.name.starts_with("OTEL_") {
                    (Line::Telemetry, "otlp")
                } else {
                    (Line::Request, "uses")
                };
                edges.push(Edge {
                    from,
                    to,
                    line,
                    label: format!("{what} :{port}"),
                });
            }
        }
    }

    edges
}

/// The port of `http://localhost:8080/path` or `127.0.0.1:8080`.
fn loopback_port(value: &str) -> Option<u32> {
    let hosts = ["127.0.0.1:", "localhost:"];
    let rest = hosts
        .iter()
        .find_map(|host| Some(value.split_once(host)?.1))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::loopback_port;

    #[test]
    fn finds_the_port_of_a_neighbour() {
        assert_eq!(loopback_port("http://localhost:8080/x"), Some(8080));
        assert_eq!(loopback_port("127.0.0.1:4317"), Some(4317));
        assert_eq!(loopback_port("https://example.com:443"), None);
        assert_eq!(loopback_port("localhost:"), None);
    }
}
