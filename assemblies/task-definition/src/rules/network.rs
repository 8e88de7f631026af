//! Who listens where on the shared loopback, and who stands in front of whom: as far as environment
//! variables and port mappings tell.

use super::shared::{containers, range};
use crate::container::ContainerDefinition;
use crate::read::LocatedDefinition;

/// A container that hands its requests to another one over the loopback.
pub(super) struct ProxyEdge<'l> {
    /// The pointer of the container that stands in front.
    pub(super) pointer: String,
    /// The pointer of the address it hands them to.
    pub(super) address: String,
    /// Who stands in front.
    pub(super) proxy: &'l ContainerDefinition,
    /// The pointer of the container behind.
    pub(super) behind_pointer: String,
    /// Who stands behind.
    pub(super) behind: &'l ContainerDefinition,
    /// The port on which it listens.
    pub(super) port: u32,
}

/// Every container that names another one's port as its upstream.
pub(super) fn proxy_edges(located: &LocatedDefinition) -> Vec<ProxyEdge<'_>> {
    let mut found = Vec::new();
    for (pointer, proxy) in containers(located) {
        for (index, variable) in proxy.environment.iter().enumerate() {
            if !ends_in(&variable.name, &UPSTREAM) {
                continue;
            }

            let port = loopback_port(&variable.value);
            let others = containers(located).filter(|(_, one)| one.name != proxy.name);
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

/// An address on which a container listens, as a variable of it says.
pub(super) struct Listener {
    /// Which of its environment variables.
    pub(super) index: usize,
    /// The address without the port; empty where only a port stands.
    pub(super) host: String,
    /// The port.
    pub(super) port: u32,
}

/// The addresses on which a container listens, as its variables say.
pub(super) fn listeners(one: &ContainerDefinition) -> impl Iterator<Item = Listener> {
    one.environment
        .iter()
        .enumerate()
        .filter_map(|(index, variable)| {
            let named = variable.name == "PORT" || ends_in(&variable.name, &LISTEN);
            let (host, port) = address(&variable.value).filter(|_| named)?;
            let host = host.to_owned();
            Some(Listener { index, host, port })
        })
}

/// Whether a container listens on the port, as a mapping or a variable of it says.
pub(super) fn serves(one: &ContainerDefinition, port: u32) -> bool {
    offers(one, port) || listeners(one).any(|listener| listener.port == port)
}

/// Whether a port mapping of the container offers the port.
pub(super) fn offers(one: &ContainerDefinition, port: u32) -> bool {
    let mut ranges = one.port_mappings.iter().filter_map(range);
    ranges.any(|(first, last)| (first..=last).contains(&port))
}

/// The port of an address on the loopback: `http://127.0.0.1:8080/path`, `localhost:4317`.
pub(super) fn loopback_port(value: &str) -> Option<u32> {
    let (host, port) = address(value)?;
    matches!(host, "127.0.0.1" | "localhost" | "[::1]").then_some(port)
}

/// Whether a container waits for another one, for whatever, over however many others.
pub(super) fn reaches(located: &LocatedDefinition, from: &str, to: &str) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut next = vec![from];
    while let Some(name) = next.pop() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let Some(one) = located.definition.container(name) else {
            continue;
        };

        for edge in &one.depends_on {
            if edge.container_name == to {
                return true;
            }
            next.push(&edge.container_name);
        }
    }

    false
}

fn address(value: &str) -> Option<(&str, u32)> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = authority.rsplit_once(':').unwrap_or(("", authority));
    let port = port.parse().ok().filter(|port| (1..=65_535).contains(port));
    Some((host, port?))
}

fn ends_in(name: &str, endings: &[&str]) -> bool {
    let name = name.to_uppercase();
    endings.iter().any(|ending| {
        name.strip_suffix(ending)
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
