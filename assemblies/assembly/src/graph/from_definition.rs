//! The diagram of any task definition, with connections inferred from its environment variables.

use task_definition::{Condition, ContainerDefinition, PortMapping, TaskDefinition};

use super::diagram::{Diagram, Edge, Kind, Line, Outside, Port, Reach, architecture, draft};
use crate::plan::Size;

impl From<&TaskDefinition> for Diagram {
    fn from(task: &TaskDefinition) -> Self {
        let mut diagram = draft(task);
        // The size comes first, since the nodes' shares are drawn in proportion to it.
        diagram.size = size(task, diagram.whole);
        let containers = &task.container_definitions;
        for (node, container) in diagram.nodes.iter_mut().zip(containers) {
            node.kind = kind(task, container);
            node.ports = container.port_mappings.iter().filter_map(port).collect();
        }
        diagram.edges.extend(uses(containers));
        diagram.outside = outside(task, containers);
        diagram.arrange()
    }
}

fn size(task: &TaskDefinition, whole: (Option<u32>, Option<u32>)) -> String {
    match whole {
        (Some(cpu), Some(memory)) => format!("{} · {}", Size { cpu, memory }, architecture(task)),
        _ => "no size for the task".to_owned(),
    }
}

/// Infers the role: a container that others wait to complete is an init, a non-essential one a sidecar.
fn kind(task: &TaskDefinition, container: &ContainerDefinition) -> Kind {
    let edges = task
        .container_definitions
        .iter()
        .flat_map(|other| &other.depends_on);
    let completes = |condition| matches!(condition, Condition::Success | Condition::Complete);
    let mut awaiting =
        edges.filter(|edge| edge.container_name == container.name && completes(edge.condition));

    if awaiting.next().is_some() {
        Kind::Init
    } else if container.is_essential() {
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
    // A mapping has either a port or a range; of a range the first port is drawn.
    let first_of_range = || {
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
        port: mapping.container_port.or_else(first_of_range)?,
        reach: Reach::Outside,
    })
}

/// Returns the task's network, which reaches every mapped port.
fn outside(task: &TaskDefinition, containers: &[ContainerDefinition]) -> Option<Outside> {
    let entries: Vec<usize> = containers
        .iter()
        .enumerate()
        .filter(|(_, container)| !container.port_mappings.is_empty())
        .map(|(index, _)| index)
        .collect();

    (!entries.is_empty()).then(|| Outside {
        name: "network".to_owned(),
        detail: task
            .network_mode
            .clone()
            // ECS's default network mode on Linux.
            .unwrap_or_else(|| "bridge".to_owned()),
        line: Line::Request,
        entries,
    })
}

/// Infers connections: a variable of one container names another's port on loopback.
fn uses(containers: &[ContainerDefinition]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (from, user) in containers.iter().enumerate() {
        for variable in &user.environment {
            let Some(port) = loopback_port(&variable.value) else {
                continue;
            };
            let owner = containers.iter().enumerate().find(|(_, container)| {
                container
                    .port_mappings
                    .iter()
                    .any(|mapping| mapping.container_port == Some(port))
            });

            if let Some((to, _)) = owner.filter(|(to, _)| *to != from) {
                // The prefix of the OpenTelemetry SDK's environment variables.
                let (line, interface) = if variable.name.starts_with("OTEL_") {
                    (Line::Telemetry, "otlp")
                } else {
                    (Line::Request, "uses")
                };
                edges.push(Edge {
                    from,
                    to,
                    line,
                    label: format!("{interface} :{port}"),
                });
            }
        }
    }

    edges
}

/// Returns the port of `http://localhost:8080/path` or `127.0.0.1:8080`.
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
    fn finds_loopback_ports_only() {
        assert_eq!(loopback_port("http://localhost:8080/x"), Some(8080));
        assert_eq!(loopback_port("127.0.0.1:4317"), Some(4317));
        assert_eq!(loopback_port("https://example.com:443"), None);
        assert_eq!(loopback_port("localhost:"), None);
    }
}
