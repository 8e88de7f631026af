//! Where a task lives here: its own network, the ports that lead into it and the addresses that lead out.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener as Bound};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::sandbox::{Border, Sandbox, Shape, Traffic, carry};
use task_runner::{RunPlan, stub};
use tokio::net::{TcpListener, TcpStream};

use super::Arguments;
use super::keep::Binding;
use super::target::Target;
use super::ways::Ways;
use crate::failure::Failure;
use crate::talk::Talk;

/// What a task's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Net {
    /// Its own, as on Fargate: nothing leads in or out but what is named.
    Task,
    /// This machine's.
    Host,
}

/// `[HOST:]PORT`: where on this machine a port of the task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Publish {
    outside: u16,
    inside: u16,
}

/// Reads one; port 0 outside is any that is free.
pub(super) fn publish(text: &str) -> Result<Publish, String> {
    let (outside, inside) = text.split_once(':').unwrap_or((text, text));
    match (outside.parse(), inside.parse()) {
        (Ok(outside), Ok(inside @ 1..)) => Ok(Publish { outside, inside }),
        _ => Err("is not of the form [PORT HERE:]PORT OF THE TASK".to_owned()),
    }
}

/// A name or an address outside of the task, with a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach {
    host: String,
    port: u16,
}

/// Reads one.
pub(super) fn reach(text: &str) -> Result<Reach, String> {
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

/// Opens the sandbox. Where the machine gives none out, one line says so and the task shares the machine's
/// network, or everything.
pub(super) fn sandbox(
    definition: &TaskDefinition,
    arguments: &Arguments,
    init: &Path,
    talk: &Talk,
) -> Option<Arc<Sandbox>> {
    let shared_processes = definition.pid_mode.as_deref() == Some("task");
    let open = |network| {
        Sandbox::open(
            init,
            Shape {
                network,
                shared_processes,
            },
        )
        .map(Arc::new)
    };
    let mut refused = None;
    if arguments.net == Net::Task {
        match open(true) {
            Ok(sandbox) => return Some(sandbox),
            Err(why) => refused = Some(why),
        }
    }
    // Where nothing is given out, one line says all.
    let (sandbox, words) = match (open(false), refused) {
        (Ok(sandbox), None) => return Some(sandbox),
        (Ok(sandbox), Some(why)) => (Some(sandbox), format!("{SHARED}: {why}")),
        (Err(_), Some(why)) => (None, format!("{SHARED}, and {ORDINARY}: {why}")),
        (Err(why), None) => (None, format!("{ORDINARY}: {why}")),
    };
    talk.say(&words);
    sandbox
}

/// The listeners on this machine that lead into the task; all that are taken are told together.
pub(super) fn ports(
    definition: &TaskDefinition,
    arguments: &Arguments,
) -> Result<Vec<(Bound, u16)>, Failure> {
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
    let address = if arguments.bind_all {
        Ipv4Addr::UNSPECIFIED
    } else {
        Ipv4Addr::LOCALHOST
    };
    let (mut bound, mut failed) = (Vec::new(), Vec::new());
    for Publish { outside, inside } in wanted {
        match Bound::bind((address, outside)) {
            Ok(listener) => bound.push((listener, inside)),
            Err(why) if why.kind() == io::ErrorKind::AddrInUse => {
                failed.push(format!(
                    "{address}:{outside} is in use; `-p 0:{inside}` takes any that is free"
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

/// Where each port is.
pub(super) fn bindings(ports: &[(Bound, u16)]) -> Vec<Binding> {
    let of = |(listener, inside): &(Bound, u16)| {
        Some(Binding {
            outside: listener.local_addr().ok()?,
            inside: *inside,
        })
    };
    ports.iter().filter_map(of).collect()
}

/// Where to ask for the public port on this machine.
pub(super) fn public_port(ports: &[(Bound, u16)], inside: u16) -> Option<u16> {
    let found = ports.iter().find(|(_, port)| *port == inside)?;
    Some(found.0.local_addr().ok()?.port())
}

/// Addresses on this machine's loopback that the task is told of and that nobody in it listens on: they lead
/// out by themselves. Of a definition, only what an assembly says is known well enough; of a plain one, what
/// the command line says.
pub(super) fn ways_out(plan: &RunPlan, target: &Target, arguments: &Arguments) -> Vec<Reach> {
    let mut ways: BTreeSet<Reach> = arguments.reach.iter().cloned().collect();
    let mut texts: Vec<&str> = Vec::new();
    let mut inside = BTreeSet::new();
    for container in &plan.definition.container_definitions {
        inside.extend(
            container
                .port_mappings
                .iter()
                .filter_map(|one| one.container_port),
        );
        let program = plan.programs.get(&container.name);
        let stub = program.map_or_else(Vec::new, |one| stub::ports(&one.arguments));
        inside.extend(stub.into_iter().map(u32::from));
        let over = plan.environment.get(&container.name);
        for variable in &container.environment {
            let value = over
                .and_then(|over| over.get(&variable.name))
                .unwrap_or(&variable.value);
            let listens = variable.name.contains("LISTEN") || variable.name.ends_with("_ADMIN");
            match value
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse().ok())
            {
                Some(port) if listens => drop(inside.insert(port)),
                _ if target.app.is_some() => texts.push(value),
                _ => {}
            }
        }
        texts.extend(
            over.into_iter()
                .flat_map(BTreeMap::values)
                .map(String::as_str),
        );
    }
    for port in texts.into_iter().flat_map(loopback_ports) {
        if !inside.contains(&u32::from(port)) {
            ways.insert(Reach {
                host: "127.0.0.1".to_owned(),
                port,
            });
        }
    }
    ways.into_iter().collect()
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
pub(super) fn hosts(ways: &[Reach], folder: &Path) -> Result<Option<PathBuf>, Failure> {
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

/// Begins to carry. Called in a runtime.
pub(super) fn open(
    plan: &RunPlan,
    ports: Vec<(Bound, u16)>,
    ways: &[Reach],
    talk: &Talk,
) -> Result<Ways, Failure> {
    let Some(sandbox) = plan
        .sandbox
        .clone()
        .filter(|sandbox| sandbox.shape().network)
    else {
        return Ok(Ways::default());
    };
    let failure = |why: io::Error| Failure::Usage(format!("no way into the task's network: {why}"));
    let (mut inward, mut outward) = (Vec::new(), Vec::new());
    for (listener, inside) in ports {
        listener.set_nonblocking(true).map_err(failure)?;
        let listener = TcpListener::from_std(listener).map_err(failure)?;
        let outside = listener.local_addr().map_err(failure)?;
        if outside.port() != inside {
            talk.say(&format!("port {inside} of the task is {outside} here"));
        }
        let border = Border {
            traffic: Traffic::Ingress,
            port: inside,
            faults: Arc::clone(sandbox.faults()),
        };
        let sandbox = Arc::clone(&sandbox);
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
    let names = names(ways);
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
    let led: Vec<String> = ways
        .iter()
        .map(|way| format!("{}:{}", way.host, way.port))
        .collect();
    let led = if led.is_empty() {
        "nothing".to_owned()
    } else {
        led.join(", ")
    };
    talk.say(&format!(
        "the task has a network of its own; it reaches {led} (--reach HOST:PORT, --net host)"
    ));
    Ok(Ways::new(inward, outward))
}

/// The folders of this machine that hold what a container's variables name: `INPUT=clip.mp4`. Who writes a
/// file well writes another one beside it first; of the system's own folders only the file itself is meant.
pub(super) fn kept(plan: &RunPlan) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kept = BTreeMap::<String, Vec<PathBuf>>::new();
    for container in &plan.definition.container_definitions {
        let Some(program) = plan.programs.get(&container.name) else {
            continue;
        };
        let over = plan.environment.get(&container.name);
        let own = container
            .environment
            .iter()
            // What a definition names for an image is in the image.
            .filter(|_| program.image.is_none())
            .filter(|one| over.is_none_or(|over| !over.contains_key(&one.name)));
        let values = own
            .map(|one| &one.value)
            .chain(over.into_iter().flat_map(BTreeMap::values));
        let paths = values.filter_map(|value| named(value, &program.folder));
        kept.insert(container.name.clone(), paths.collect());
    }
    kept
}

fn named(value: &str, folder: &Path) -> Option<PathBuf> {
    let value = value
        .strip_prefix("file://")
        .or_else(|| value.strip_prefix("file:"))
        .unwrap_or(value);
    if value.is_empty()
        || value.len() > 4096
        || value.contains(['\n', '\0'])
        || value.contains("://")
    {
        return None;
    }
    let path = folder.join(value);
    let is_path = value.contains('/') || value.contains('.');
    let is_system = SYSTEM.iter().any(|folder| path.starts_with(folder));
    let path = if path.is_dir() || is_system {
        path
    } else if path.exists() || is_path {
        path.parent()?.to_owned()
    } else {
        return None;
    };
    // The root of the machine is nobody's to keep.
    let path = path.canonicalize().ok()?;
    (path.parent().is_some() && path != env::temp_dir()).then_some(path)
}

const SHARED: &str = "the network here is this machine's";
const ORDINARY: &str = "containers are ordinary processes here";
const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/opt", "/sbin", "/usr", "/var",
];

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
