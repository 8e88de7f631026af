//! What there is to see of a task, wherever it comes from.

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

use super::order::{Order, order};
use crate::prices::Price;

/// A task as it is drawn: its containers in the order of the diagram, and what is between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagram {
    pub(super) name: String,
    pub(super) summary: String,
    /// `1 vCPU · 2 GB · X86_64`.
    pub(super) size: String,
    /// `$36.04 a month`, and whose price of when it is.
    pub(super) price: Option<(String, String)>,
    /// CPU units and MiB of the whole task, as far as they are said.
    pub(super) whole: (Option<u32>, Option<u32>),
    pub(super) outside: Option<Outside>,
    /// What the task's edge stands for.
    pub(super) boundary: &'static str,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// The longest a stop can take, in seconds.
    pub(super) stops_within: u32,
}

/// What stands before the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) line: Line,
    /// The containers that it reaches, or starts.
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
    /// What is said where there are none.
    pub(super) silent: &'static str,
    pub(super) cpu: Option<u32>,
    pub(super) memory: Option<u32>,
    /// Waits that cost time: `after warm-up SUCCESS`.
    pub(super) after: Vec<String>,
    pub(super) start: usize,
    pub(super) stop: usize,
    pub(super) stop_timeout: u32,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hop,
    App,
    Sidecar,
    Init,
    /// One of somebody's definition, which does not say what it is for.
    Container,
}

/// A port that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// What is spoken there: `https`.
    pub(super) interface: String,
    pub(super) port: u32,
    pub(super) reach: Reach,
}

/// From where a port can be reached.
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

/// What an arrow stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line {
    Request,
    Telemetry,
    /// One starts after the other and gives it nothing.
    Wait,
}

impl Kind {
    pub(super) fn words(self) -> &'static str {
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
    /// All of a container but its kind, its ports and its place.
    pub(super) fn new(task: &TaskDefinition, one: &ContainerDefinition, order: &Order) -> Self {
        let index = task
            .container_definitions
            .iter()
            .position(|other| other.name == one.name);
        let index = index.unwrap_or_default();
        let waits = one
            .depends_on
            .iter()
            .filter(|edge| edge.condition != Condition::Start);

        Self {
            name: one.name.clone(),
            image: one.image.clone(),
            kind: Kind::Container,
            essential: one.is_essential(),
            restarts: one
                .restart_policy
                .as_ref()
                .is_some_and(|policy| policy.enabled),
            secrets: one.secrets.len(),
            ports: Vec::new(),
            silent: "no port mapped",
            cpu: one.cpu,
            memory: one.memory.or(one.memory_reservation),
            after: waits
                .map(|edge| format!("after {} {}", edge.container_name, edge.condition.word()))
                .collect(),
            start: order.start[index],
            stop: order.stop[index],
            stop_timeout: one.stop_timeout.unwrap_or(super::order::STOP_TIMEOUT),
        }
    }

    /// `proxy · essential · 1 secret`.
    pub(super) fn words(&self) -> String {
        let mut words = vec![self.kind.words().to_owned()];
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

    /// `stops 1 · 24 s`.
    pub(super) fn stop_words(&self) -> String {
        if self.kind == Kind::Init {
            return "ends by itself".to_owned();
        }
        format!("stops {} · {} s", self.stop, self.stop_timeout)
    }
}

impl Port {
    /// `https :8443`.
    pub(super) fn words(&self) -> String {
        format!("{} :{}", self.interface, self.port)
    }
}

impl Diagram {
    /// The order of the drawing: who starts last stands on top. Edges that only repeat others are gone.
    pub(super) fn arranged(mut self) -> Self {
        let mut at: Vec<usize> = (0..self.nodes.len()).collect();
        at.sort_by_key(|index| (std::cmp::Reverse(self.nodes[*index].start), *index));
        let place = |old: usize| at.iter().position(|index| *index == old).unwrap_or(old);
        self.nodes = at.iter().map(|index| self.nodes[*index].clone()).collect();
        for edge in &mut self.edges {
            (edge.from, edge.to) = (place(edge.from), place(edge.to));
        }

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
                *entry = place(*entry);
            }
            outside.entries.sort_unstable();
            outside.entries.dedup();
        }

        self
    }

    /// The diagram with the price of a task that runs all month.
    #[must_use]
    pub fn with_price(mut self, price: &Price) -> Self {
        let of = format!("{}, {}", price.region, price.date);
        self.price = Some((format!("${:.2} a month", price.month()), of));
        self
    }

    /// Size and price in one line.
    pub(super) fn caption(&self) -> String {
        match &self.price {
            Some((price, of)) => format!("Fargate {} · {price} ({of})", self.size),
            None => self.size.clone(),
        }
    }
}

/// Who waits for whom, as the definition says it.
pub(super) fn waits(task: &TaskDefinition) -> Vec<Edge> {
    let containers = &task.container_definitions;
    let mut edges = Vec::new();
    for (from, one) in containers.iter().enumerate() {
        for edge in &one.depends_on {
            if let Some(to) = containers
                .iter()
                .position(|other| other.name == edge.container_name)
            {
                let label = format!("after {}", edge.condition.word());
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

/// The parts that a definition alone can say.
pub(super) fn draft(task: &TaskDefinition) -> Diagram {
    let order = order(task);
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
        // On Fargate every port that a container opens can be reached, mapped or not.
        boundary: "what a container opens without a mapping is not seen here",
        nodes: containers
            .iter()
            .map(|one| Node::new(task, one, &order))
            .collect(),
        edges: waits(task),
        stops_within: order.stops_within,
    }
}

/// The machine, where the definition names it.
pub(super) fn machine(task: &TaskDefinition) -> &str {
    let platform = task.runtime_platform.as_ref();
    let machine = platform.and_then(|platform| platform.cpu_architecture.as_deref());
    machine.unwrap_or("X86_64")
}
