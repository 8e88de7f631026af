//! The addresses that lead out of a task, and their names in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::ContainerDefinition;
use task_runner::sandbox::{Border, Forward, Sandbox, Traffic, carry};
use task_runner::{RunPlan, stub};
use tokio::net::{TcpListener, TcpStream};

use crate::commands::up::Arguments;
use crate::commands::up::target::Target;
use crate::failure::Failure;
use crate::talk::Talk;

/// A name or an address outside of the task, with a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    host: String,
    port: u16,
}

/// Reads one.
pub(in crate::commands::up) fn reach(text: &str) -> Result<Reach, String> {
    let read = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match read {
        Some((host, port @ 1..)) if !host.is_empty() && !host.contains([':', '/', ' ']) => {
            Ok(Reach {
                host: host.to_ascii_lowercase(),
                port,
            })
        }
        _ => Err("is not of the form HOST:PORT, with a name or an IPv4 address".to_owned()),
    }
}

/// Addresses on this machine's loopback that the task is told of and that nobody in it listens on: they lead
/// out by themselves. Of a definition, only what an assembly says is known well enough; of a plain one, what
/// the command line says.
pub(in crate::commands::up) fn ways_out(
    plan: &RunPlan,
    target: &Target,
    arguments: &Arguments,
) -> Vec<Reach> {
    let mut ways: BTreeSet<Reach> = arguments.reach.iter().cloned().collect();
    let containers = || plan.definition.container_definitions.iter();
    let inside: BTreeSet<u32> = containers().flat_map(|one| inside(one, plan)).collect();
    let texts = containers().flat_map(|one| told(one, plan, target));

    for port in texts.flat_map(loopback_ports) {
        if !inside.contains(&u32::from(port)) {
            ways.insert(Reach {
                host: "127.0.0.1".to_owned(),
                port,
            });
        }
    }

    ways.into_iter().collect()
}

/// The ports of a container that somebody in it listens on.
fn inside(container: &ContainerDefinition, plan: &RunPlan) -> Vec<u32> {
    let mappings = container.port_mappings.iter();
    let mapped = mappings.filter_map(|one| one.container_port);
    let program = plan.programs.get(&container.name);
    let stub = program.map_or_else(Vec::new, |one| stub::ports(&one.arguments));
    let listens = variables(container, plan).filter_map(|(name, value)| listener(name, value));
    mapped
        .chain(stub.into_iter().map(u32::from))
        .chain(listens)
        .collect()
}

/// The values that a container is told and that count.
fn told<'a>(
    container: &'a ContainerDefinition,
    plan: &'a RunPlan,
    target: &Target,
) -> Vec<&'a str> {
    let own = variables(container, plan)
        .filter(|(name, value)| target.app.is_some() && listener(name, value).is_none())
        .map(|(_, value)| value);
    let over = plan.environment.get(&container.name).into_iter();
    own.chain(over.flat_map(BTreeMap::values).map(String::as_str))
        .collect()
}

/// The variables of the definition, with the values that they have here.
fn variables<'a>(
    container: &'a ContainerDefinition,
    plan: &'a RunPlan,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let over = plan.environment.get(&container.name);
    container.environment.iter().map(move |one| {
        let value = over.and_then(|over| over.get(&one.name));
        (one.name.as_str(), value.unwrap_or(&one.value).as_str())
    })
}

/// The port of a variable that says where to listen.
fn listener(name: &str, value: &str) -> Option<u32> {
    let listens = name.contains("LISTEN") || name.ends_with("_ADMIN");
    let (_, port) = value.rsplit_once(':').filter(|_| listens)?;
    port.parse().ok()
}

/// The ports of all addresses on the loopback in a text.
fn loopback_ports(text: &str) -> Vec<u16> {
    let after = ["127.0.0.1:", "localhost:"]
        .into_iter()
        .flat_map(|host| text.match_indices(host));
    let digits = |(at, host): (usize, &str)| {
        let rest = &text[at + host.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|port| *port != 0)
    };

    after.filter_map(digits).collect()
}

/// Names that lead out need a line in the task's `/etc/hosts`; each has an address of its own there.
pub(in crate::commands::up) fn hosts(
    ways: &[Reach],
    folder: &Path,
) -> Result<Option<PathBuf>, Failure> {
    let names = names(ways);
    if names.is_empty() {
        return Ok(None);
    }

    let lines = names
        .iter()
        .map(|(name, address)| format!("{address} {name}\n"));
    let text = "127.0.0.1 localhost\n".to_owned() + &lines.collect::<String>();
    let path = folder.join("hosts");

    fs::write(&path, text).map_err(|source| Failure::File {
        act: "write",
        path: path.clone(),
        source,
    })?;

    Ok(Some(path))
}

fn names(ways: &[Reach]) -> BTreeMap<&str, Ipv4Addr> {
    let names: BTreeSet<&str> = ways.iter().map(|way| way.host.as_str()).collect();
    let names = names
        .into_iter()
        .filter(|name| name.parse::<Ipv4Addr>().is_err() && *name != "localhost");

    // 127.1.0.1 and on: nobody else is there.
    let address = |index: usize| {
        Ipv4Addr::from(0x7f01_0001_u32.saturating_add(u32::try_from(index).unwrap_or(0)))
    };
    names
        .enumerate()
        .map(|(index, name)| (name, address(index)))
        .collect()
}

/// Carries what the task sends to each of them, and says which they are.
pub(super) fn open(
    sandbox: &Sandbox,
    ways: &[Reach],
    talk: &Talk,
) -> Result<Vec<Forward>, Failure> {
    let names = names(ways);
    let mut outward = Vec::new();
    for Reach { host, port } in ways {
        let address = names.get(host.as_str()).copied();
        let address = address
            .or_else(|| host.parse().ok().filter(Ipv4Addr::is_loopback))
            .unwrap_or(Ipv4Addr::LOCALHOST);
        let listener = sandbox.listen(SocketAddrV4::new(address, *port));
        let listener = listener.and_then(TcpListener::from_std).map_err(|why| {
            Failure::Usage(format!(
                "`--reach {host}:{port}`: the task cannot be given that address: {why}"
            ))
        })?;

        let (host, port) = (host.clone(), *port);
        let border = Border {
            traffic: Traffic::Egress,
            port,
            faults: Arc::clone(sandbox.faults()),
        };

        outward.push(carry(listener, border, move || {
            let host = host.clone();
            async move { TcpStream::connect((host.as_str(), port)).await }
        }));
    }

    let led = ways.iter().map(|way| format!("{}:{}", way.host, way.port));
    let led: Vec<String> = led.collect();
    let led = if led.is_empty() {
        "nothing".to_owned()
    } else {
        led.join(", ")
    };

    talk.say(&format!(
        "the task has a network of its own; it reaches {led} (--reach HOST:PORT, --net host)"
    ));
    Ok(outward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_out_has_a_name_and_a_port() {
        assert_eq!(
            reach("DB.example:5432"),
            Ok(Reach {
                host: "db.example".into(),
                port: 5432
            })
        );
        for bad in ["db", "db:0", ":1", "http://db:80", "[::1]:1", "db:x"] {
            assert!(reach(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_address_on_the_loopback_is_found_in_a_text() {
        assert_eq!(
            loopback_ports("http://127.0.0.1:4318/v1,grpc://localhost:4317"),
            [4318, 4317]
        );
        assert!(loopback_ports("127.0.0.1 localhost:x 10.0.0.1:1").is_empty());
    }

    #[test]
    fn each_name_has_an_address_of_its_own_in_the_task() {
        let ways = [
            "b.example:1",
            "a.example:1",
            "a.example:2",
            "10.0.0.1:5",
            "localhost:1",
        ]
        .map(|text| reach(text).unwrap());

        let names = names(&ways);
        assert_eq!(names.len(), 2);
        assert_ne!(names["a.example"], names["b.example"]);
    }
}
