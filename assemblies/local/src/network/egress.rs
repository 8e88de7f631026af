//! Outgoing connections of a task: the allowed addresses, and their names in the task.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::ContainerDefinition;
use task_runner::sandbox::{Boundary, Forward, Sandbox, Traffic, forward};
use task_runner::{RunPlan, stub};
use tokio::net::{TcpListener, TcpStream};

use crate::Error;
use crate::Messages;
use crate::Options;
use crate::target::Target;

/// An argument of `--reach`: a host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    host: String,
    port: u16,
}

/// Parses `HOST:PORT`.
pub fn parse_reach(text: &str) -> Result<Reach, String> {
    let parsed = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parsed {
        Some((host, port @ 1..)) if !host.is_empty() && !host.contains([':', '/', ' ']) => {
            Ok(Reach {
                host: host.to_ascii_lowercase(),
                port,
            })
        }
        _ => Err("expected HOST:PORT with a name or an IPv4 address".to_owned()),
    }
}

/// Returns the addresses the task may reach: those of `--reach`, and loopback addresses in its variables on which
/// no container listens. Of an assembly all variables count, since they are derived; of a plain task definition
/// only those set on the command line.
pub(crate) fn find_reaches(plan: &RunPlan, target: &Target, options: &Options) -> Vec<Reach> {
    let mut reaches: BTreeSet<Reach> = options.reach.iter().cloned().collect();
    let containers = || plan.definition.container_definitions.iter();
    let listening: BTreeSet<u32> = containers()
        .flat_map(|container| listening_ports(container, plan))
        .collect();
    let texts = containers().flat_map(|container| relevant_values(container, plan, target));

    for port in texts.flat_map(loopback_ports) {
        if !listening.contains(&u32::from(port)) {
            reaches.insert(Reach {
                host: "127.0.0.1".to_owned(),
                port,
            });
        }
    }

    reaches.into_iter().collect()
}

/// Returns the ports a container listens on: mapped ports, a stub's ports, and its own listener settings.
fn listening_ports(container: &ContainerDefinition, plan: &RunPlan) -> Vec<u32> {
    let mappings = container.port_mappings.iter();
    let mapped = mappings.filter_map(|mapping| mapping.container_port);
    let program = plan.programs.get(&container.name);
    let stub = program.map_or_else(Vec::new, |program| stub::ports(&program.arguments));
    let listens = variables(container, plan).filter_map(|(name, value)| listener(name, value));
    mapped
        .chain(stub.into_iter().map(u32::from))
        .chain(listens)
        .collect()
}

/// Returns the variables' values that may name an address to reach.
fn relevant_values<'a>(
    container: &'a ContainerDefinition,
    plan: &'a RunPlan,
    target: &Target,
) -> Vec<&'a str> {
    let own = variables(container, plan)
        .filter(|(name, value)| target.app.is_some() && listener(name, value).is_none())
        .map(|(_, value)| value);
    let overrides = plan.environment.get(&container.name).into_iter();
    own.chain(overrides.flat_map(BTreeMap::values).map(String::as_str))
        .collect()
}

/// Returns the definition's variables with their local values.
fn variables<'a>(
    container: &'a ContainerDefinition,
    plan: &'a RunPlan,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let overrides = plan.environment.get(&container.name);
    container.environment.iter().map(move |variable| {
        let value = overrides.and_then(|overrides| overrides.get(&variable.name));
        (
            variable.name.as_str(),
            value.unwrap_or(&variable.value).as_str(),
        )
    })
}

/// Returns the port of a variable that sets a listener's address.
fn listener(name: &str, value: &str) -> Option<u32> {
    let listens = name.contains("LISTEN") || name.ends_with("_ADMIN");
    let (_, port) = value.rsplit_once(':').filter(|_| listens)?;
    port.parse().ok()
}

/// Returns the ports of all loopback addresses in a text.
fn loopback_ports(text: &str) -> Vec<u16> {
    let matches = ["127.0.0.1:", "localhost:"]
        .into_iter()
        .flat_map(|host| text.match_indices(host));
    let digits = |(at, host): (usize, &str)| {
        let rest = &text[at + host.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok().filter(|port| *port != 0)
    };

    matches.filter_map(digits).collect()
}

/// Writes the task's `hosts` file, if there are host names to reach. Each name has its own loopback address.
pub(crate) fn hosts(reaches: &[Reach], folder: &Path) -> Result<Option<PathBuf>, Error> {
    let names = names(reaches);
    if names.is_empty() {
        return Ok(None);
    }

    let lines = names
        .iter()
        .map(|(name, address)| format!("{address} {name}\n"));
    let text = "127.0.0.1 localhost\n".to_owned() + &lines.collect::<String>();
    let path = folder.join("hosts");

    fs::write(&path, text).map_err(|source| Error::File {
        act: "write",
        path: path.clone(),
        source,
    })?;

    Ok(Some(path))
}

fn names(reaches: &[Reach]) -> BTreeMap<&str, Ipv4Addr> {
    let names: BTreeSet<&str> = reaches.iter().map(|reach| reach.host.as_str()).collect();
    let names = names
        .into_iter()
        .filter(|name| name.parse::<Ipv4Addr>().is_err() && *name != "localhost");

    // From 127.1.0.1 on: programs use 127.0.0.1, so these addresses are free.
    let address = |index: usize| {
        Ipv4Addr::from(0x7f01_0001_u32.saturating_add(u32::try_from(index).unwrap_or(0)))
    };
    names
        .enumerate()
        .map(|(index, name)| (name, address(index)))
        .collect()
}

/// Starts forwarding for each address, and prints the addresses.
pub(super) fn open(
    sandbox: &Sandbox,
    reaches: &[Reach],
    ui: &dyn Messages,
) -> Result<Vec<Forward>, Error> {
    let names = names(reaches);
    let mut forwards = Vec::new();
    for Reach { host, port } in reaches {
        let address = names.get(host.as_str()).copied();
        // A program that connects to the host's 127.0.0.1 does so inside the task, on the same address.
        let address = address
            .or_else(|| host.parse().ok().filter(Ipv4Addr::is_loopback))
            .unwrap_or(Ipv4Addr::LOCALHOST);
        let listener = sandbox.listen(SocketAddrV4::new(address, *port));
        let listener = listener.and_then(TcpListener::from_std).map_err(|why| {
            Error::Usage(format!(
                "`--reach {host}:{port}`: cannot listen on that address in the task: {why}"
            ))
        })?;

        let (host, port) = (host.clone(), *port);
        let border = Boundary {
            traffic: Traffic::Egress,
            port,
            faults: Arc::clone(sandbox.faults()),
        };

        forwards.push(forward(listener, border, move || {
            let host = host.clone();
            async move { TcpStream::connect((host.as_str(), port)).await }
        }));
    }

    let allowed: Vec<String> = reaches
        .iter()
        .map(|reach| format!("{}:{}", reach.host, reach.port))
        .collect();
    let allowed = if allowed.is_empty() {
        "nothing".to_owned()
    } else {
        allowed.join(", ")
    };

    ui.message(&format!(
        "the task has its own network and can reach {allowed} (see --reach HOST:PORT, --net host)"
    ));
    Ok(forwards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_a_host_and_a_port() {
        assert_eq!(
            parse_reach("DB.example:5432"),
            Ok(Reach {
                host: "db.example".into(),
                port: 5432
            })
        );
        // Only names and IPv4 addresses are accepted.
        for invalid in ["db", "db:0", ":1", "http://db:80", "[::1]:1", "db:x"] {
            assert!(parse_reach(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn finds_all_loopback_addresses_in_a_text() {
        assert_eq!(
            loopback_ports("http://127.0.0.1:4318/v1,grpc://localhost:4317"),
            [4318, 4317]
        );
        // Without a port, or not on the loopback.
        assert!(loopback_ports("127.0.0.1 localhost:x 10.0.0.1:1").is_empty());
    }

    #[test]
    fn gives_each_host_name_its_own_address() {
        let reaches = [
            "b.example:1",
            "a.example:1",
            "a.example:2",
            "10.0.0.1:5",
            "localhost:1",
        ]
        .map(|text| parse_reach(text).unwrap());

        let names = names(&reaches);
        // Two names; addresses and localhost need no entry.
        assert_eq!(names.len(), 2);
        assert_ne!(names["a.example"], names["b.example"]);
    }
}
