//! The diagram model, built from a plan or from any task definition.

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

use super::steps::{Steps, steps};
use crate::prices::Price;

/// A task as drawn: containers from top to bottom, and the edges between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagram {
    pub(super) name: String,
    pub(super) summary: String,
    /// `1 vCPU · 2 GB · X86_64`.
    pub(super) size: String,
    /// `$36.04 a month per task`, and the price's region and date.
    pub(super) price: Option<(String, String)>,
    /// CPU units and MiB of the whole task, if the definition sets them.
    pub(super) whole: (Option<u32>, Option<u32>),
    pub(super) outside: Option<Outside>,
    /// What the task's border means.
    pub(super) boundary: &'static str,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// The longest possible stop, in seconds.
    pub(super) stops_within: u32,
}

/// The clients or the trigger outside of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) line: Line,
    /// The containers that it connects to or starts.
    pub(super) entries: Vec<usize>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) kind: Kind,
    pub(super) essential: bool,
    pub(super) restarts: bool,
    pub(super) secrets: usize,
    pub(super) ports: Vec<Port>,
    /// The text shown if there are no ports.
    pub(super) no_ports_note: &'static str,
    pub(super) cpu: Option<u32>,
    pub(super) memory: Option<u32>,
    /// Conditions other than START that it waits for: `after warm-up SUCCESS`.
    pub(super) after: Vec<String>,
    pub(super) start: usize,
    pub(super) stop: usize,
    pub(super) stop_timeout: u32,
}

/// The role of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hop,
    App,
    Sidecar,
    Init,
    /// A container of a plain task definition, which does not state its role.
    Container,
}

/// A port that a container listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// The interface: `https`.
    pub(super) interface: String,
    pub(super) port: u32,
    pub(super) reach: Reach,
}

/// From where a port is reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Outside,
    Loopback,
}

/// An arrow between two containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: Line,
    /// `http :8081`, `after SUCCESS`.
    pub(super) label: String,
}

/// The kind of an arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    Request,
    Telemetry,
    /// A start order dependency without requests.
    Wait,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Hop => "proxy",
            Self::App => "app",
            Self::Sidecar => "sidecar",
            Self::Init => "runs first",
            Self::Container => "container",
        }
    }
}

impl Node {
    /// Returns the node of a container, without its kind and ports.
    pub(super) fn new(
        task: &TaskDefinition,
        container: &ContainerDefinition,
        steps: &Steps,
    ) -> Self {
        let index = task
            .container_definitions
            .iter()
            .position(|other| other.name == container.name)
            .unwrap_or_default();
        // START is left out: nearly every edge has it, and the steps show the order already.
        let waits = container
            .depends_on
            .iter()
            .filter(|edge| edge.condition != Condition::Start);

        Self {
            name: container.name.clone(),
            image: container.image.clone(),
            kind: Kind::Container,
            essential: container.is_essential(),
            restarts: container
                .restart_policy
                .as_ref()
                .is_some_and(|policy| policy.enabled),
            secrets: container.secrets.len(),
            ports: Vec::new(),
            no_ports_note: "no port mapped",
            cpu: container.cpu,
            memory: container.memory.or(container.memory_reservation),
            after: waits
                .map(|edge| format!("after {} {}", edge.container_name, edge.condition.as_str()))
                .collect(),
            start: steps.start[index],
            stop: steps.stop[index],
            stop_timeout: container.stop_timeout.unwrap_or(super::steps::STOP_TIMEOUT),
        }
    }

    /// Returns the attributes in one line: `proxy · essential · 1 secret`.
    pub(super) fn description(&self) -> String {
        let mut words = vec![self.kind.as_str().to_owned()];
        if self.essential {
            words.push("essential".to_owned());
        }

        if self.restarts {
            words.push("restarted".to_owned());
        }
        match self.secrets {
            0 => {}
            1 => words.push("1 secret".to_owned()),
            many => words.push(format!("{many} secrets")),
        }

        words.join(" · ")
    }

    /// Returns the stop step and timeout: `stops 1 · 24 s`.
    pub(super) fn stop_label(&self) -> String {
        // An init has exited before the task stops, so it has no stop step.
        if self.kind == Kind::Init {
            return "exits by itself".to_owned();
        }
        format!("stops {} · {} s", self.stop, self.stop_timeout)
    }
}

impl Port {
    /// Returns interface and port: `https :8443`.
    pub(super) fn label(&self) -> String {
        format!("{} :{}", self.interface, self.port)
    }
}

impl Diagram {
    /// Sorts the containers, the last to start first, and removes redundant edges.
    pub(super) fn arrange(mut self) -> Self {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_key(|index| (std::cmp::Reverse(self.nodes[*index].start), *index));
        let new_index = |old: usize| order.iter().position(|index| *index == old).unwrap_or(old);
        self.nodes = order
            .iter()
            .map(|index| self.nodes[*index].clone())
            .collect();
        for edge in &mut self.edges {
            // Edges refer to nodes by index, so they follow the sort.
            (edge.from, edge.to) = (new_index(edge.from), new_index(edge.to));
        }

        // Requests sort before telemetry and waits, so the most specific edge of a pair remains.
        let mut known: Vec<(usize, usize)> = Vec::new();
        self.edges
            .sort_by_key(|edge| (edge.line, edge.from, edge.to));
        self.edges.retain(|edge| {
            let is_new = edge.from != edge.to && !known.contains(&(edge.from, edge.to));
            known.push((edge.from, edge.to));
            is_new
        });

        if let Some(outside) = &mut self.outside {
            for entry in &mut outside.entries {
                *entry = new_index(*entry);
            }
            outside.entries.sort_unstable();
            outside.entries.dedup();
        }

        self
    }

    /// Returns the diagram with the monthly price of a task.
    #[must_use]
    pub fn with_price(mut self, price: &Price) -> Self {
        let source = format!("{}, {}", price.region, price.date);
        self.price = Some((format!("${:.2} a month per task", price.month()), source));
        self
    }

    /// Returns size and price in one line.
    pub(super) fn caption(&self) -> String {
        match &self.price {
            Some((price, source)) => format!("Fargate {} · {price} ({source})", self.size),
            None => self.size.clone(),
        }
    }
}

/// Returns the `dependsOn` edges of a definition.
pub(super) fn waits(task: &TaskDefinition) -> Vec<Edge> {
    let containers = &task.container_definitions;
    let mut edges = Vec::new();
    for (from, container) in containers.iter().enumerate() {
        for edge in &container.depends_on {
            if let Some(to) = containers
                .iter()
                .position(|other| other.name == edge.container_name)
            {
                let label = format!("after {}", edge.condition.as_str());
                edges.push(Edge {
                    from,
                    to,
                    line: Line::Wait,
                    label,
                });
            }
        }
    }

    edges
}

/// Returns the diagram without the parts that a definition does not contain.
pub(super) fn draft(task: &TaskDefinition) -> Diagram {
    let steps = steps(task);
    let containers = &task.container_definitions;
    Diagram {
        name: task.family.clone(),
        summary: String::new(),
        size: String::new(),
        price: None,
        whole: (
            task.cpu
                .as_deref()
                .and_then(task_definition::fargate_sizes::parse_cpu),
            task.memory
                .as_deref()
                .and_then(task_definition::fargate_sizes::parse_memory),
        ),
        outside: None,
        // On Fargate every port that a container listens on is reachable, mapped or not.
        boundary: "ports that are open without a mapping are not shown",
        nodes: containers
            .iter()
            .map(|container| Node::new(task, container, &steps))
            .collect(),
        edges: waits(task),
        stops_within: steps.stops_within,
    }
}

/// Returns the CPU architecture of a definition, by default ECS's.
pub(super) fn architecture(task: &TaskDefinition) -> &str {
    let platform = task.runtime_platform.as_ref();
    platform
        .and_then(|platform| platform.cpu_architecture.as_deref())
        .unwrap_or("X86_64")
}
