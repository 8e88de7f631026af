//! The addresses on which containers listen, and the proxies in front of them, according to environment variables
//! and port mappings.

use task_definition::{ContainerDefinition, LocatedDefinition};

use super::shared::{containers, range};

/// A container that forwards requests to another one over the loopback.
pub(super) struct ProxyEdge<'l> {
    /// The pointer of the proxy.
    pub(super) pointer: String,
    /// The pointer of the upstream address.
    pub(super) address: String,
    /// The proxy.
    pub(super) proxy: &'l ContainerDefinition,
    /// The pointer of the upstream container.
    pub(super) behind_pointer: String,
    /// The upstream container.
    pub(super) behind: &'l ContainerDefinition,
    /// The port on which the upstream container listens.
    pub(super) port: u32,
}

/// Returns every container that names another one's port as its upstream.
pub(super) fn proxy_edges(located: &LocatedDefinition) -> Vec<ProxyEdge<'_>> {
    let mut found = Vec::new();
    for (pointer, proxy) in containers(located) {
        for (index, variable) in proxy.environment.iter().enumerate() {
            if !has_suffix(&variable.name, &UPSTREAM) {
                continue;
            }

            // An address outside the task is not a proxy relation between containers.
            let port = loopback_port(&variable.value);
            let others = containers(located).filter(|(_, container)| container.name != proxy.name);
            for (behind_pointer, behind) in others {
                if let Some(port) = port.filter(|port| serves(behind, *port)) {
                    found.push(ProxyEdge {
                        pointer: pointer.clone(),
                        address: format!("{pointer}/environment/{index}/value"),
                        proxy,
                        behind_pointer,
                        behind,
                        port,
                    });
                }
            }
        }
    }

    found
}

/// An address on which a container listens, according to a variable.
pub(super) struct Listener {
    /// The index of the environment variable.
    pub(super) index: usize,
    /// The host of the address; empty if the variable is only a port.
    pub(super) host: String,
    /// The port.
    pub(super) port: u32,
}

/// Returns the addresses on which a container listens, according to its variables.
pub(super) fn listeners(container: &ContainerDefinition) -> impl Iterator<Item = Listener> {
    container
        .environment
        .iter()
        .enumerate()
        .filter_map(|(index, variable)| {
            let is_listen_variable = variable.name == "PORT" || has_suffix(&variable.name, &LISTEN);
            let (host, port) = parse_address(&variable.value).filter(|_| is_listen_variable)?;
            let host = host.to_owned();
            Some(Listener { index, host, port })
        })
}

/// Returns whether a container listens on the port, according to a mapping or variable.
pub(super) fn serves(container: &ContainerDefinition, port: u32) -> bool {
    offers(container, port) || listeners(container).any(|listener| listener.port == port)
}

/// Returns whether a port mapping of the container contains the port.
pub(super) fn offers(container: &ContainerDefinition, port: u32) -> bool {
    let mut ranges = container.port_mappings.iter().filter_map(range);
    ranges.any(|(first, last)| (first..=last).contains(&port))
}

/// Returns the port of an address on the loopback: `http://127.0.0.1:8080/path`, `localhost:4317`.
pub(super) fn loopback_port(value: &str) -> Option<u32> {
    let (host, port) = parse_address(value)?;
    matches!(host, "127.0.0.1" | "localhost" | "[::1]").then_some(port)
}

/// Returns whether a container depends on another one, directly or indirectly, with any condition.
pub(super) fn reaches(located: &LocatedDefinition, from: &str, to: &str) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        // Dependencies may form a cycle (D02).
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let Some(container) = located.definition.container(name) else {
            continue;
        };

        for edge in &container.depends_on {
            if edge.container_name == to {
                return true;
            }
            next.push(&edge.container_name);
        }
    }

    false
}

fn parse_address(value: &str) -> Option<(&str, u32)> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').unwrap_or(("", authority));
    let port = port.parse().ok().filter(|port| (1..=65_535).contains(port));
    Some((host, port?))
}

fn has_suffix(name: &str, suffixes: &[&str]) -> bool {
    let name = name.to_uppercase();
    suffixes.iter().any(|suffix| {
        name.strip_suffix(suffix)
            .is_some_and(|before| before.is_empty() || before.ends_with('_'))
    })
}

const UPSTREAM: [&str; 7] = [
    "UPSTREAM",
    "UPSTREAM_URL",
    "UPSTREAM_ADDRESS",
    "BACKEND",
    "BACKEND_URL",
    "PROXY_PASS",
    "PROXY_TARGET",
];

const LISTEN: [&str; 8] = [
    "LISTEN",
    "LISTEN_ADDR",
    "LISTEN_ADDRESS",
    "LISTEN_PORT",
    "LISTEN_GRPC",
    "BIND",
    "BIND_ADDR",
    "BIND_ADDRESS",
];

#[cfg(test)]
mod tests {
    use super::loopback_port;

    #[test]
    fn only_an_address_on_the_loopback_has_a_loopback_port() {
        for (value, expected) in [
            ("http://127.0.0.1:8080/path", Some(8080)),
            ("localhost:4317", Some(4317)),
            ("[::1]:80", Some(80)),
            ("127.0.0.1", None),
            ("8080", None),
            ("10.0.0.1:8080", None),
            ("http://localhost:0", None),
            ("localhost:99999999999", None),
        ] {
            assert_eq!(loopback_port(value), expected, "{value}");
        }
    }
}
