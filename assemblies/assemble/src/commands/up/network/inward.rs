//! The ports that lead into a task.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as Bound};
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::sandbox::{Border, Forward, Sandbox, Traffic, carry};
use tokio::net::TcpListener;

use crate::commands::up::Arguments;
use crate::commands::up::keep::Binding;
use crate::failure::Failure;
use crate::talk::Talk;

/// `[HOST:]PORT`: where on this machine a port of the task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish {
    outside: u16,
    inside: u16,
}

/// Reads one; port 0 outside is any that is free.
pub(in crate::commands::up) fn publish(text: &str) -> Result<Publish, String> {
    let (outside, inside) = text.split_once(':').unwrap_or((text, text));
    match (outside.parse(), inside.parse()) {
        (Ok(outside), Ok(inside @ 1..)) => Ok(Publish { outside, inside }),
        _ => Err("is not of the form [PORT HERE:]PORT OF THE TASK".to_owned()),
    }
}

/// The listeners on this machine that lead into the task; all that are taken are told together.
pub(in crate::commands::up) fn ports(
    definition: &TaskDefinition,
    arguments: &Arguments,
) -> Result<Vec<(Bound, u16)>, Failure> {
    let address = if arguments.bind_all {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };

    let (mut bound, mut failed) = (Vec::new(), Vec::new());
    for Publish { outside, inside } in wanted(definition, arguments) {
        match Bound::bind((address, outside)) {
            Ok(listener) => bound.push((listener, inside)),
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
                failed.push(format!(
                    "{address}:{outside} is in use{}; `-p 0:{inside}` takes any that is free",
                    by(outside)
                ));
            }
            Err(why) => failed.push(format!(
                "{address}:{outside}: {why}; `-p 8000:{inside}` takes another one"
            )),
        }
    }

    if failed.is_empty() {
        return Ok(bound);
    }
    Err(Failure::Usage(format!(
        "these ports of this machine cannot be had:\n  {}",
        failed.join("\n  ")
    )))
}

/// What the command line names, and the ports of `portMappings` that it does not.
fn wanted(definition: &TaskDefinition, arguments: &Arguments) -> Vec<Publish> {
    let mut wanted = arguments.publish.clone();
    let mappings = definition
        .container_definitions
        .iter()
        .flat_map(|one| &one.port_mappings);
    let mapped = mappings.filter(|one| one.protocol.as_deref() != Some("udp"));

    for port in mapped.filter_map(|one| u16::try_from(one.container_port?).ok()) {
        if !wanted.iter().any(|one| one.inside == port) {
            wanted.push(Publish {
                outside: port,
                inside: port,
            });
        }
    }

    wanted
}

/// By whom, where that can be seen.
pub(in crate::commands::up) fn by(port: u16) -> String {
    task_runner::listener(port)
        .map(|(pid, name)| format!(" by `{name}` (process {pid})"))
        .unwrap_or_default()
}

/// Where each port is.
pub(in crate::commands::up) fn bindings(ports: &[(Bound, u16)]) -> Vec<Binding> {
    let of = |(listener, inside): &(Bound, u16)| {
        Some(Binding {
            outside: listener.local_addr().ok()?,
            inside: *inside,
        })
    };
    ports.iter().filter_map(of).collect()
}

/// Where to ask for the public port on this machine.
pub(in crate::commands::up) fn public_port(ports: &[(Bound, u16)], inside: u16) -> Option<u16> {
    let found = ports.iter().find(|(_, port)| *port == inside)?;
    Some(found.0.local_addr().ok()?.port())
}

/// Carries what comes to each of them, with its port of the task.
pub(super) fn open(
    sandbox: &Arc<Sandbox>,
    ports: Vec<(Bound, u16)>,
    talk: &Talk,
) -> io::Result<Vec<(u16, Forward)>> {
    let mut inward = Vec::new();
    for (listener, inside) in ports {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let outside = listener.local_addr()?;
        if outside.port() != inside {
            talk.say(&format!("port {inside} of the task is {outside} here"));
        }

        let border = Border {
            traffic: Traffic::Ingress,
            port: inside,
            faults: Arc::clone(sandbox.faults()),
        };
        let sandbox = Arc::clone(sandbox);
        let forward = carry(listener, border, move || {
            let sandbox = Arc::clone(&sandbox);
            async move {
                sandbox
                    .connect(SocketAddrV4::new(Ipv4Addr::LOCALHOST, inside))
                    .await
            }
        });
        inward.push((inside, forward));
    }

    Ok(inward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_another_one_here() {
        assert_eq!(
            publish("8443"),
            Ok(Publish {
                outside: 8443,
                inside: 8443
            })
        );

        assert_eq!(
            publish("0:443"),
            Ok(Publish {
                outside: 0,
                inside: 443
            })
        );
        assert!(publish("443:0").is_err() && publish("a:1").is_err() && publish("70000").is_err());
    }
}
