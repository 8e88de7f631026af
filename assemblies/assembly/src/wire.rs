//! Assigns ports on the shared loopback, upstream addresses, and the start order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use diagnostics::{Finding, Location};
use task_definition::Condition;

use crate::component::{AppProtocol, ProvidedInterface};
use crate::diagnostic_context::DiagnosticContext;
use crate::resolve::{AssemblyMember, Link, ResolvedAssembly, RunMode};
use crate::rules;

mod fixed;
mod order;

/// An assembly with every address assigned and every dependency known.
#[derive(Debug, Clone)]
pub struct Wiring {
    pub(crate) assembly: ResolvedAssembly,
    pub(crate) containers: Vec<ContainerWiring>,
    pub(crate) public: Option<PublicPort>,
}

/// The wiring of one container.
#[derive(Debug, Clone, Default)]
pub struct ContainerWiring {
    /// The addresses it listens on, by setting.
    pub(crate) listens: BTreeMap<String, SocketAddr>,
    /// Derived environment variables, each with the location of its derivation.
    pub(crate) environment: BTreeMap<String, (String, Location)>,
    /// The members it waits for, and the condition each must reach.
    pub(crate) depends_on: Vec<(usize, Condition, Location)>,
}

/// The port that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    pub(crate) member: usize,
    pub(crate) interface: String,
    pub(crate) port: u16,
    pub(crate) protocol: Option<AppProtocol>,
}

/// Assigns ports, sets the addresses of upstreams and telemetry, and derives the start order.
///
/// A member whose address is invalid gets the default one, so that later stages can report further findings.
pub fn wire(assembly: ResolvedAssembly, diagnostics: &mut DiagnosticContext) -> Wiring {
    // Addresses must be final before other members get them as upstreams.
    let mut containers = vec![ContainerWiring::default(); assembly.members.len()];
    let public = public(&assembly);
    diagnostics.report(listen(&assembly, public.as_ref(), &mut containers));
    diagnostics.report(fixed::fixed_inner_addresses(&assembly, public.as_ref()));

    connect(&assembly, &mut containers);
    observe(&assembly, &mut containers);
    order::order(&assembly, &mut containers);

    let public = public.map(|public| PublicPort {
        port: assigned_port(&assembly, &containers, &public),
        ..public
    });

    Wiring {
        assembly,
        containers,
        public,
    }
}

/// Returns the port of the outermost hop of a service; the only one that clients reach.
fn public(assembly: &ResolvedAssembly) -> Option<PublicPort> {
    assembly.manifest.file().service.as_ref()?;
    let file = assembly.manifest.file();
    // Without ingress the app itself is the outermost hop.
    let outermost = file.ingress.first().unwrap_or(&file.app);
    let member = assembly
        .members
        .iter()
        .position(|member| member.component.name() == outermost)?;
    let provides = &assembly.members[member].component.file().provides;
    // HTTPS first: a proxy that provides both must not be reached in plain text.
    let find = |name: &str| provides.get_key_value(name);
    let (interface, provided) = find("https")
        .or_else(|| find("http"))
        .or_else(|| provides.iter().next())?;

    Some(PublicPort {
        member,
        interface: interface.clone(),
        port: provided.port,
        protocol: provided.app_protocol,
    })
}

fn assigned_port(
    assembly: &ResolvedAssembly,
    containers: &[ContainerWiring],
    public: &PublicPort,
) -> u16 {
    let provided = &assembly.members[public.member].component.file().provides[&public.interface];
    let address = containers[public.member].listens.get(&provided.setting);
    address.map_or(public.port, SocketAddr::port)
}

/// Assigns an address to each listen setting: the user's, else the component's usual port, else the next
/// free port.
fn listen(
    assembly: &ResolvedAssembly,
    public: Option<&PublicPort>,
    containers: &mut [ContainerWiring],
) -> Vec<Finding> {
    // Ports that the user sets are taken first, so that derived ones avoid them.
    let mut taken = fixed_ports(&assembly.members);
    let findings = take_requested(assembly, public, &mut taken, containers);
    assign_ports(assembly, public, &mut taken, containers);
    findings
}

/// Takes the addresses that the user sets, and reports the ones that are invalid or already taken.
fn take_requested<'a>(
    assembly: &'a ResolvedAssembly,
    public: Option<&PublicPort>,
    taken: &mut BTreeMap<u16, &'a str>,
    containers: &mut [ContainerWiring],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, member) in assembly.members.iter().enumerate() {
        for (setting, location, text) in requested_addresses(member) {
            let Ok(address) = text.parse::<SocketAddr>() else {
                findings.push(rules::m21_port_conflict::invalid_address(location, &text));
                continue;
            };

            if !address.ip().is_loopback() && !may_be_public(public, index, member, &setting) {
                findings.push(exposed_address(member, &setting, location, address));
            } else if let Some(holder) = taken.insert(address.port(), member.name()) {
                let finding = rules::m21_port_conflict::port_conflict(
                    location,
                    address.port(),
                    member.name(),
                    holder,
                );
                findings.push(finding);
            }
            containers[index].listens.insert(setting, address);
        }
    }

    findings
}

/// Assigns a free port to every address that the user does not set.
fn assign_ports<'a>(
    assembly: &'a ResolvedAssembly,
    public: Option<&PublicPort>,
    taken: &mut BTreeMap<u16, &'a str>,
    containers: &mut [ContainerWiring],
) {
    for (index, member) in assembly.members.iter().enumerate() {
        let public_setting = public
            .filter(|public| public.member == index)
            .map(|public| &member.component.file().provides[&public.interface].setting);

        for (setting, port) in active_addresses(member) {
            if containers[index].listens.contains_key(&setting) {
                continue;
            }

            let free = (port..=u16::MAX)
                .find(|port| !taken.contains_key(port))
                .unwrap_or(port);
            taken.insert(free, member.name());
            // On Fargate every port bound to 0.0.0.0 is reachable on the task's network interface,
            // mapped or not, so all but the outermost hop bind to loopback.
            let ip = if public_setting == Some(&setting) {
                Ipv4Addr::UNSPECIFIED
            } else {
                Ipv4Addr::LOCALHOST
            };

            let address = SocketAddr::new(IpAddr::V4(ip), free);
            containers[index].listens.insert(setting.clone(), address);
            let derivation = explain_port(member, &setting, address, port);
            let location = Location::from_derivation(derivation, Some(member.location.clone()));

            set_variable(
                &mut containers[index],
                member,
                &setting,
                address.to_string(),
                location,
            );
        }
    }
}

/// Returns the ports of programs without a listen setting; no other member can get them.
fn fixed_ports(members: &[AssemblyMember]) -> BTreeMap<u16, &str> {
    members
        .iter()
        .filter(|member| member.run_mode == RunMode::Service)
        .flat_map(|member| {
            let provided = member.component.file().provides.values();
            provided
                .filter(|interface| interface.setting.is_empty())
                .map(|interface| (interface.port, member.name()))
        })
        .collect()
}

/// Returns whether a setting may bind to an address outside loopback: only the interfaces of the
/// outermost hop, and not its admin address.
pub(crate) fn may_be_public(
    public: Option<&PublicPort>,
    index: usize,
    member: &AssemblyMember,
    setting: &str,
) -> bool {
    let mut provided = member.component.file().provides.values();
    public.is_some_and(|public| public.member == index)
        && provided.any(|interface| interface.setting == setting)
}

/// Returns the finding for an address that is not on loopback and must be.
pub(crate) fn exposed_address(
    member: &AssemblyMember,
    setting: &str,
    location: Location,
    address: SocketAddr,
) -> Finding {
    let (file, address) = (member.component.file(), address.to_string());
    // The admin address has its own message: even the outermost hop must not publish it.
    match &file.admin {
        Some(admin) if admin.setting == setting => {
            rules::m22_exposed_inner_hop::public_admin(location, member.name(), &address)
        }
        _ => rules::m22_exposed_inner_hop::public_inner_hop(location, member.name(), &address),
    }
}

/// Returns the listen settings that need an address; a one-shot container serves nothing.
fn active_addresses(member: &AssemblyMember) -> Vec<(String, u16)> {
    match member.run_mode {
        RunMode::Service => addresses(member),
        RunMode::OneShot => Vec::new(),
    }
}

/// Returns the listen settings of a member with their usual ports, without duplicates.
pub(crate) fn addresses(member: &AssemblyMember) -> Vec<(String, u16)> {
    let file = member.component.file();
    let mut all: Vec<(String, u16)> = Vec::new();
    let admin = file.admin.iter().map(|admin| (&admin.setting, admin.port));
    let provided = file
        .provides
        .values()
        .map(|ProvidedInterface { setting, port, .. }| (setting, *port));

    // Several interfaces can share a setting, for example HTTP/1.1 and HTTP/2 on one port.
    for (setting, port) in provided.chain(admin) {
        if !setting.is_empty() && all.iter().all(|(known, _)| known != setting) {
            all.push((setting.clone(), port));
        }
    }

    all
}

/// Returns the listen addresses that the manifest sets.
fn requested_addresses(member: &AssemblyMember) -> Vec<(String, Location, String)> {
    active_addresses(member)
        .into_iter()
        .filter_map(|(setting, _)| {
            let requested = member.settings.get(&setting)?;
            Some((setting, requested.location.clone(), requested.text.clone()))
        })
        .collect()
}

fn explain_port(member: &AssemblyMember, setting: &str, address: SocketAddr, usual: u16) -> String {
    let (name, port) = (member.name(), address.port());
    let port = if port == usual {
        format!("port {port} is the default of `{name}` for `{setting}`")
    } else {
        format!(
            "port {port} is the next free port for `{setting}` of `{name}`, since {usual} is taken"
        )
    };

    if address.ip().is_loopback() {
        format!("{port}; on loopback, since only the outermost hop is public")
    } else {
        format!("{port}; on all interfaces, since it is the outermost hop")
    }
}

/// Sets the addresses of the interfaces that members require.
fn connect(assembly: &ResolvedAssembly, containers: &mut [ContainerWiring]) {
    for Link {
        user,
        provider,
        requirement,
        interface,
    } in &assembly.links
    {
        let (member, other) = (&assembly.members[*user], &assembly.members[*provider]);
        let Some(requirement) = requirement else {
            continue;
        };
        // `form` is the setting's pattern, for example `http://{address}`.
        let required = &member.component.file().requires[requirement];
        let address = loopback_address(&containers[*provider], other, interface);
        let derivation = format!(
            "`{}` finds `{interface}` at `{}` on {address}",
            member.name(),
            other.name()
        );
        let location = Location::from_derivation(derivation, Some(member.location.clone()));

        let text = required.form.replace("{address}", &address);
        set_variable(
            &mut containers[*user],
            member,
            &required.setting,
            text,
            location,
        );
    }
}

/// Returns the address at which other members of the task reach an interface.
fn loopback_address(wired: &ContainerWiring, member: &AssemblyMember, interface: &str) -> String {
    let provided = &member.component.file().provides[interface];
    let port = wired
        .listens
        .get(&provided.setting)
        .map_or(provided.port, SocketAddr::port);
    format!("127.0.0.1:{port}")
}

/// Sets the OTLP endpoint and the resource names of members that send telemetry.
fn observe(assembly: &ResolvedAssembly, containers: &mut [ContainerWiring]) {
    let task = &assembly.manifest.file().name;
    let links = assembly
        .links
        .iter()
        .filter(|link| link.requirement.is_none());
    for Link {
        user,
        provider,
        interface,
        ..
    } in links
    {
        let (member, other) = (&assembly.members[*user], &assembly.members[*provider]);
        let address = loopback_address(&containers[*provider], other, interface);
        let derivation = format!("`{}` sends telemetry to `{}`", member.name(), other.name());
        let location = Location::from_derivation(derivation, Some(other.location.clone()));
        let resource = format!("service.namespace={task},container.name={}", member.name());
        // The variables of the OpenTelemetry SDK environment specification.
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            ("OTEL_RESOURCE_ATTRIBUTES", resource),
            ("OTEL_SERVICE_NAME", member.name().to_owned()),
        ];

        let environment = &mut containers[*user].environment;
        for (name, text) in variables {
            environment.insert(name.to_owned(), (text, location.clone()));
        }
    }
}

fn set_variable(
    wired: &mut ContainerWiring,
    member: &AssemblyMember,
    setting: &str,
    text: String,
    location: Location,
) {
    wired
        .environment
        .insert(member.component.variable(setting), (text, location));
}
