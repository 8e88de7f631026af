//! From components to addresses: ports on the shared loopback, who is told what, and the order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use task_definition::{Condition, Finding, Place};

use crate::component::{AppProtocol, ProvidedInterface};
use crate::diagnostics::Diagnostics;
use crate::resolve::{AssemblyMember, Link, ResolvedAssembly, Role, RunMode};
use crate::rules;

/// Every address given, every dependency known.
#[derive(Debug, Clone)]
pub struct Wiring {
    pub(crate) assembly: ResolvedAssembly,
    pub(crate) containers: Vec<ContainerWiring>,
    pub(crate) public: Option<PublicPort>,
}

/// What the wiring says to one member.
#[derive(Debug, Clone, Default)]
pub struct ContainerWiring {
    /// Where it listens, by setting.
    pub(crate) listens: BTreeMap<String, SocketAddr>,
    /// Environment variables and why they are what they are.
    pub(crate) environment: BTreeMap<String, (String, Place)>,
    /// Members it waits for, and how far they must have got.
    pub(crate) depends_on: Vec<(usize, Condition, Place)>,
}

/// The port at which the task is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    pub(crate) member: usize,
    pub(crate) interface: String,
    pub(crate) port: u16,
    pub(crate) protocol: Option<AppProtocol>,
}

/// Gives out ports, tells every member what it must know, and puts them in order.
pub fn wire(assembly: ResolvedAssembly, diagnostics: &mut Diagnostics) -> Option<Wiring> {
    let mut containers = vec![ContainerWiring::default(); assembly.members.len()];
    let public = public(&assembly);
    if !diagnostics.report(listen(&assembly, public.as_ref(), &mut containers)) {
        return None;
    }

    connect(&assembly, &mut containers);
    observe(&assembly, &mut containers);
    order(&assembly, &mut containers);

    let public = public.map(|public| PublicPort {
        port: at(&assembly, &containers, &public),
        ..public
    });

    Some(Wiring {
        assembly,
        containers,
        public,
    })
}

/// Only the outermost hop of a service is reached from outside.
fn public(assembly: &ResolvedAssembly) -> Option<PublicPort> {
    assembly.manifest.file().service.as_ref()?;
    let file = assembly.manifest.file();
    let outermost = file.ingress.first().unwrap_or(&file.app);
    let member = assembly
        .members
        .iter()
        .position(|member| member.component.name() == outermost)?;
    let provides = &assembly.members[member].component.file().provides;
    let named = |name: &str| provides.get_key_value(name);
    let (interface, provided) = named("https")
        .or_else(|| named("http"))
        .or_else(|| provides.iter().next())?;

    Some(PublicPort {
        member,
        interface: interface.clone(),
        port: provided.port,
        protocol: provided.app_protocol,
    })
}

fn at(assembly: &ResolvedAssembly, containers: &[ContainerWiring], public: &PublicPort) -> u16 {
    let provided = &assembly.members[public.member].component.file().provides[&public.interface];
    let address = containers[public.member].listens.get(&provided.setting);
    address.map_or(public.port, SocketAddr::port)
}

/// One port for each setting that says where to listen. What the user wrote comes first, then the
/// component's own port, then the next one that is free.
fn listen(
    assembly: &ResolvedAssembly,
    public: Option<&PublicPort>,
    containers: &mut [ContainerWiring],
) -> Vec<Finding> {
    let mut taken = fixed_ports(&assembly.members);
    let mut findings = Vec::new();
    for (index, member) in assembly.members.iter().enumerate() {
        for (setting, place, text) in wishes(member) {
            let Ok(address) = text.parse::<SocketAddr>() else {
                findings.push(rules::m21_port_conflict::invalid_address(place, &text));
                continue;
            };

            if !address.ip().is_loopback() && !may_be_reached(public, index, member, &setting) {
                findings.push(exposed(member, &setting, place, address));
            } else if let Some(holder) = taken.insert(address.port(), member.name()) {
                let finding = rules::m21_port_conflict::port_conflict(
                    place,
                    address.port(),
                    member.name(),
                    holder,
                );
                findings.push(finding);
            }
            containers[index].listens.insert(setting, address);
        }
    }

    for (index, member) in assembly.members.iter().enumerate() {
        let outer = public.filter(|public| public.member == index);
        let outer =
            outer.map(|public| &member.component.file().provides[&public.interface].setting);

        for (setting, port) in listening(member) {
            if containers[index].listens.contains_key(&setting) {
                continue;
            }

            let free = (port..=u16::MAX)
                .find(|port| !taken.contains_key(port))
                .unwrap_or(port);
            taken.insert(free, member.name());
            let ip = if outer == Some(&setting) {
                Ipv4Addr::UNSPECIFIED
            } else {
                Ipv4Addr::LOCALHOST
            };

            let address = SocketAddr::new(IpAddr::V4(ip), free);
            containers[index].listens.insert(setting.clone(), address);
            let because = reason(member, &setting, address, port);
            let place = Place::derived(because, Some(member.place.clone()));

            say(
                &mut containers[index],
                member,
                &setting,
                address.to_string(),
                place,
            );
        }
    }

    findings
}

/// The ports of programs that cannot be told where to listen; nobody else may have them.
fn fixed_ports(members: &[AssemblyMember]) -> BTreeMap<u16, &str> {
    let serving = members
        .iter()
        .filter(|member| member.run_mode == RunMode::Service);
    let fixed = serving.flat_map(|member| {
        let provided = member.component.file().provides.values();
        let fixed = provided.filter(|one| one.setting.is_empty());
        fixed.map(|one| (one.port, member.name()))
    });
    fixed.collect()
}

/// Whether a setting may name an address that the world reaches: nothing stands in front of the public
/// member, but its admin address is for the task alone.
pub(crate) fn may_be_reached(
    public: Option<&PublicPort>,
    index: usize,
    member: &AssemblyMember,
    setting: &str,
) -> bool {
    let mut provided = member.component.file().provides.values();
    public.is_some_and(|public| public.member == index)
        && provided.any(|one| one.setting == setting)
}

/// What is said about an address that must not be reached.
pub(crate) fn exposed(
    member: &AssemblyMember,
    setting: &str,
    place: Place,
    address: SocketAddr,
) -> Finding {
    let (file, address) = (member.component.file(), address.to_string());
    match &file.admin {
        Some(admin) if admin.setting == setting => {
            rules::m22_exposed_inner_hop::public_admin(place, member.name(), &address)
        }
        _ => rules::m22_exposed_inner_hop::public_inner_hop(place, member.name(), &address),
    }
}

/// Where a member listens while it serves: one that ends offers nothing.
fn listening(member: &AssemblyMember) -> Vec<(String, u16)> {
    match member.run_mode {
        RunMode::Service => addresses(member),
        RunMode::OneShot => Vec::new(),
    }
}

/// The settings that say where a member listens, each once, with its usual port.
pub(crate) fn addresses(member: &AssemblyMember) -> Vec<(String, u16)> {
    let file = member.component.file();
    let mut all: Vec<(String, u16)> = Vec::new();
    let admin = file.admin.iter().map(|admin| (&admin.setting, admin.port));
    let provided = file
        .provides
        .values()
        .map(|ProvidedInterface { setting, port, .. }| (setting, *port));

    for (setting, port) in provided.chain(admin) {
        if !setting.is_empty() && all.iter().all(|(known, _)| known != setting) {
            all.push((setting.clone(), port));
        }
    }

    all
}

/// The addresses the user wrote down.
fn wishes(member: &AssemblyMember) -> Vec<(String, Place, String)> {
    let settings = listening(member).into_iter();
    let given = settings.filter_map(|(setting, _)| {
        let given = member.settings.get(&setting)?;
        Some((setting, given.place.clone(), given.text.clone()))
    });
    given.collect()
}

fn reason(member: &AssemblyMember, setting: &str, address: SocketAddr, usual: u16) -> String {
    let (name, port) = (member.name(), address.port());
    let port = if port == usual {
        format!("port {port} is the one `{name}` usually has for `{setting}`")
    } else {
        format!(
            "port {port} is the next that is free, since {usual} is taken, for `{name}`'s `{setting}`"
        )
    };

    if address.ip().is_loopback() {
        format!("{port}; only the outermost hop may be reached from outside")
    } else {
        format!("{port}; it is the outermost hop, so it is reached from outside")
    }
}

/// Tells every member where its requirements are.
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
        let required = &member.component.file().requires[requirement];
        let address = inside(&containers[*provider], other, interface);
        let because = format!(
            "`{}` finds `{interface}` at `{}` on {address}",
            member.name(),
            other.name()
        );
        let place = Place::derived(because, Some(member.place.clone()));

        let text = required.form.replace("{address}", &address);
        say(
            &mut containers[*user],
            member,
            &required.setting,
            text,
            place,
        );
    }
}

/// Where the other members of a task find an interface.
fn inside(wired: &ContainerWiring, member: &AssemblyMember, interface: &str) -> String {
    let provided = &member.component.file().provides[interface];
    let port = wired
        .listens
        .get(&provided.setting)
        .map_or(provided.port, SocketAddr::port);
    format!("127.0.0.1:{port}")
}

/// Tells everybody who sends telemetry where to, and under which name.
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
        let address = inside(&containers[*provider], other, interface);
        let because = format!("`{}` sends telemetry to `{}`", member.name(), other.name());
        let place = Place::derived(because, Some(other.place.clone()));
        let resource = format!("service.namespace={task},container.name={}", member.name());
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
            ("OTEL_RESOURCE_ATTRIBUTES", resource),
            ("OTEL_SERVICE_NAME", member.name().to_owned()),
        ];

        let environment = &mut containers[*user].environment;
        for (name, text) in variables {
            environment.insert(name.to_owned(), (text, place.clone()));
        }
    }
}

fn say(
    wired: &mut ContainerWiring,
    member: &AssemblyMember,
    setting: &str,
    text: String,
    place: Place,
) {
    wired
        .environment
        .insert(member.component.variable(setting), (text, place));
}

/// Who starts after whom; ECS stops them in the reverse order, whatever the condition.
///
/// Everybody waits for what it uses, so that it is told to stop first and what it used still answers.
/// The app waits for all that stands beside it, and for the programs that run before it.
fn order(assembly: &ResolvedAssembly, containers: &mut [ContainerWiring]) {
    let edges = assembly.links.iter().map(|link| (link.user, link.provider));
    let app = assembly
        .members
        .iter()
        .position(|member| member.role == Role::App);
    let beside = assembly
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.role == Role::Sidecar);
    let beside = beside.filter_map(|(sidecar, _)| Some((app?, sidecar)));

    let router = assembly.router.as_ref().map(|router| router.member);
    let logging = (0..assembly.members.len()).filter_map(|user| Some((user, router?)));
    let logging = logging.filter(|(user, router)| user != router);
    for (user, provider) in edges.chain(beside).chain(logging) {
        // Someone beside the app may use the app; then the app cannot wait for it.
        if reaches(containers, provider, user) {
            continue;
        }

        let (member, other) = (&assembly.members[user], &assembly.members[provider]);
        let waits = member.component.file().waits || other.component.file().health.is_none();
        let condition = if waits {
            Condition::Start
        } else {
            Condition::Healthy
        };

        let because = format!(
            "`{}` uses `{}`, so it starts after it and is stopped before it",
            member.name(),
            other.name()
        );
        add(&mut containers[user], provider, condition, because, member);
    }

    initialise(assembly, app, containers);
}

/// Init programs run one after the other, and the app waits until all have succeeded.
fn initialise(assembly: &ResolvedAssembly, app: Option<usize>, containers: &mut [ContainerWiring]) {
    let members = assembly.members.iter().enumerate();
    let mut inits: Vec<usize> = members
        .filter(|(_, member)| member.role == Role::Init)
        .map(|(index, _)| index)
        .collect();
    let listed = &assembly.manifest.file().init;

    inits.sort_by_key(|index| {
        let name = assembly.members[*index].component.name();
        listed.iter().position(|one| one == name)
    });

    for pair in inits.windows(2) {
        let because = "programs that run before the app run one after the other".to_owned();
        add(
            &mut containers[pair[1]],
            pair[0],
            Condition::Success,
            because,
            &assembly.members[pair[1]],
        );
    }

    if let (Some(app), Some(last)) = (app, inits.last()) {
        let because = format!(
            "`{}` runs to its end before the app starts",
            assembly.members[*last].name()
        );
        add(
            &mut containers[app],
            *last,
            Condition::Success,
            because,
            &assembly.members[app],
        );
    }
}

fn add(
    wired: &mut ContainerWiring,
    on: usize,
    condition: Condition,
    because: String,
    member: &AssemblyMember,
) {
    if wired.depends_on.iter().all(|(known, ..)| *known != on) {
        let place = Place::derived(because, Some(member.place.clone()));
        wired.depends_on.push((on, condition, place));
    }
}

/// Whether one waits for the other, directly or through others.
fn reaches(containers: &[ContainerWiring], from: usize, to: usize) -> bool {
    from == to
        || containers[from]
            .depends_on
            .iter()
            .any(|(next, ..)| reaches(containers, *next, to))
}
