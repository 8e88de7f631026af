//! Published ports of a task.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as Bound};
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::sandbox::{Boundary, Forward, Sandbox, Traffic, forward};
use tokio::net::TcpListener;

use crate::Error;
use crate::Messages;
use crate::Options;
use crate::run_dir::Binding;

/// An argument of `--publish`: `[HOST_PORT:]PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPort {
    host_port: u16,
    container_port: u16,
}

/// Parses `[HOST_PORT:]PORT`; host port 0 chooses a free one.
pub fn parse_publish(text: &str) -> Result<PublishedPort, String> {
    let (host_port, container_port) = text.split_once(':').unwrap_or((text, text));
    match (host_port.parse(), container_port.parse()) {
        (Ok(host_port), Ok(container_port @ 1..)) => Ok(PublishedPort {
            host_port,
            container_port,
        }),
        _ => Err("expected [HOST_PORT:]PORT".to_owned()),
    }
}

/// Binds the host ports. All that cannot be bound are reported together.
pub(crate) fn ports(
    definition: &TaskDefinition,
    options: &Options,
) -> Result<Vec<(Bound, u16)>, Error> {
    let own_address = options.role.address();
    let address = match own_address {
        Some(address) => address,
        None if options.bind_all => Ipv4Addr::UNSPECIFIED,
        None => Ipv4Addr::LOCALHOST,
    };

    let (mut bound, mut errors) = (Vec::new(), Vec::new());
    for PublishedPort {
        host_port,
        container_port,
    } in published_ports(definition, options)
    {
        let mut listener = Bound::bind((address, host_port));
        // On an address of its own the port is usually free. It is not if a program of the host listens on it on all
        // addresses, or if the port is privileged; the caller reads the one that was bound instead.
        if listener.is_err() && own_address.is_some() {
            listener = Bound::bind((address, 0));
        }
        match listener {
            Ok(listener) => bound.push((listener, container_port)),
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
                errors.push(format!(
                    "{address}:{host_port} is in use{}; `-p 0:{container_port}` chooses a free port",
                    port_holder(host_port)
                ));
            }
            Err(why) => errors.push(format!(
                "{address}:{host_port}: {why}; `-p 8000:{container_port}` chooses another port"
            )),
        }
    }

    if errors.is_empty() {
        return Ok(bound);
    }
    Err(Error::Usage(format!(
        "cannot listen on these host ports:\n  {}",
        errors.join("\n  ")
    )))
}

/// Returns the ports of `--publish`, and those of `portMappings` that are not among them.
fn published_ports(definition: &TaskDefinition, options: &Options) -> Vec<PublishedPort> {
    let mut published = options.publish.clone();
    let mappings = definition
        .container_definitions
        .iter()
        .flat_map(|container| &container.port_mappings);
    // Forwarding is TCP only.
    let mapped = mappings.filter(|mapping| mapping.protocol.as_deref() != Some("udp"));

    for port in mapped.filter_map(|mapping| u16::try_from(mapping.container_port?).ok()) {
        if !published.iter().any(|entry| entry.container_port == port) {
            published.push(PublishedPort {
                host_port: port,
                container_port: port,
            });
        }
    }

    published
}

/// Formats the process that listens on a port, if it is visible.
pub(crate) fn port_holder(port: u16) -> String {
    task_runner::find_listener(port)
        .map(|(pid, name)| format!(" by `{name}` (process {pid})"))
        .unwrap_or_default()
}

/// Returns the address of each published port.
pub(crate) fn bindings(ports: &[(Bound, u16)]) -> Vec<Binding> {
    let binding = |(listener, container_port): &(Bound, u16)| {
        Some(Binding {
            host: listener.local_addr().ok()?,
            container_port: *container_port,
        })
    };
    ports.iter().filter_map(binding).collect()
}

/// Returns the host port of a port of the task.
pub(crate) fn public_port(ports: &[(Bound, u16)], container_port: u16) -> Option<u16> {
    let found = ports.iter().find(|(_, port)| *port == container_port)?;
    Some(found.0.local_addr().ok()?.port())
}

/// Starts forwarding. Returns each forward with its port in the task.
pub(super) fn open(
    sandbox: &Arc<Sandbox>,
    ports: Vec<(Bound, u16)>,
    ui: &dyn Messages,
) -> io::Result<Vec<(u16, Forward)>> {
    let mut forwards = Vec::new();
    for (listener, container_port) in ports {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let host_address = listener.local_addr()?;
        if host_address.port() != container_port {
            ui.message(&format!(
                "port {container_port} is published on {host_address}"
            ));
        }

        let border = Boundary {
            traffic: Traffic::Ingress,
            port: container_port,
            faults: Arc::clone(sandbox.faults()),
        };
        let sandbox = Arc::clone(sandbox);
        let forward = forward(listener, border, move || {
            let sandbox = Arc::clone(&sandbox);
            async move {
                sandbox
                    .connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, container_port))
                    .await
            }
        });
        forwards.push((container_port, forward));
    }

    Ok(forwards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_port_with_and_without_a_host_port() {
        assert_eq!(
            parse_publish("8443"),
            Ok(PublishedPort {
                host_port: 8443,
                container_port: 8443
            })
        );

        assert_eq!(
            parse_publish("0:443"),
            Ok(PublishedPort {
                host_port: 0,
                container_port: 443
            })
        );
        assert!(
            parse_publish("443:0").is_err()
                && parse_publish("a:1").is_err()
                && parse_publish("70000").is_err()
        );
    }
}
