//! From components to addresses: ports on the shared loopback, who is told what, and the order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use task_definition::{Condition, Finding, Place};

use crate::component::{AppProtocol, ProvidedInterface};
use crate::diagnostics::Diagnostics;
use crate::resolve::{Cast, Life, Link, Member, Role};
use crate::rules;

/// Every address given, every dependency known.
#[derive(Debug, Clone)]
pub struct Wiring {
    pub(crate) cast: Cast,
    pub(crate) containers: Vec<Wired>,
    pub(crate) public: Option<Public>,
}

/// What the wiring says to one member.
#[derive(Debug, Clone, Default)]
pub struct Wired {
    /// Where it listens, by setting.
    pub(crate) listens: BTreeMap<String, SocketAddr>,
    /// Environment variables and why they are what they are.
    pub(crate) environment: BTreeMap<String, (String, Place)>,
    /// Members it waits for, and how far they must have got.
    pub(crate) depends_on: Vec<(usize, Condition, Place)>,
}

/// The port at which the task is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Public {
    pub(crate) member: usize,
    pub(crate) interface: String,
    pub(crate) port: u16,
    pub(crate) protocol: Option<AppProtocol>,
}

/// Gives out ports, tells every member what it must know, and puts them in order.
pub fn wire(cast: Cast, diagnostics: &mut Diagnostics) -> Option<Wiring> {
    let mut containers = vec![Wired::default(); cast.members.len()];
    let public = public(&cast);
    if !diagnostics.report(listen(&cast, public.as_ref(), &mut containers)) {
        return None;
    }

    connect(&cast, &mut containers);
    observe(&cast, &mut containers);
    order(&cast, &mut containers);

    let public = public.map(|public| Public {
        port: at(&cast, &containers, &public),
        ..public
    });

    Some(Wiring {
        cast,
        containers,
        public,
    })
}

/// Only the outermost hop of a service is reached from outside.
fn public(cast: &Cast) -> Option<Public> {
    cast.manifest.file().service.as_ref()?;
    let file = cast.manifest.file();
    let outermost = file.ingress.first().unwrap_or(&file.app);
    let member = cast
        .members
        .iter()
        .position(|member| member.component.name() == outermost)?;
    let provides = &cast.members[member].component.file().provides;
    let named = |name: &str| provides.get_key_value(name);
    let (interface, provided) = named("https")
        .or_else(|| named("http"))
        .or_else(|| provides.iter().next())?;

    Some(Public {
        member,
        interface: interface.clone(),
        port: provided.port,
        protocol: provided.app_protocol,
    })
}

fn at(cast: &Cast, containers: &[Wired], public: &Public) -> u16 {
    let provided = &cast.members[public.member].component.file().provides[&public.interface];
    let address = containers[public.member].listens.get(&provided.setting);
    address.map_or(public.port, SocketAddr::port)
}

/// One port for each setting that says where to listen. What the user wrote comes first, then the
/// component's own port, then the next one that is free.
fn listen(cast: &Cast, public: Option<&Public>, containers: &mut [Wired]) -> Vec<Finding> {
    let mut taken = fixed_ports(&cast.members);
    let mut findings = Vec::new();
    for (index, member) in cast.members.iter().enumerate() {
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

    for (index, member) in cast.members.iter().enumerate() {
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
fn fixed_ports(members: &[Member]) -> BTreeMap<u16, &str> {
    let serving = members.iter().filter(|member| member.life == Life::Serves);
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
    public: Option<&Public>,
    index: usize,
    member: &Member,
    setting: &str,
) -> bool {
    let mut provided = member.component.file().provides.values();
    public.is_some_and(|public| public.member == index)
        && provided.any(|one| one.setting == setting)
}

/// What is said about an address that must not be reached.
pub(crate) fn exposed(
    member: &Member,
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
fn listening(member: &Member) -> Vec<(String, u16)> {
    match member.life {
        Life::Serves => addresses(member),
        Life::Ends => Vec::new(),
    }
}

/// The settings that say where a member listens, each once, with its usual port.
pub(crate) fn addresses(member: &Member) -> Vec<(String, u16)> {
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
fn wishes(member: &Member) -> Vec<(String, Place, String)> {
    let settings = listening(member).into_iter();
    let given = settings.filter_map(|(setting, _)| {
        let given = member.settings.get(&setting)?;
        Some((setting, given.place.clone(), given.text.clone()))
    });
    given.collect()
}

fn reason(member: &Member, setting: &str, address: SocketAddr, usual: u16) -> String {
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
fn connect(cast: &Cast, containers: &mut [Wired]) {
    for Link {
        user,
        provider,
        requirement,
        interface,
    } in &cast.links
    {
        let (member, other) = (&cast.members[*user], &cast.members[*provider]);
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
fn inside(wired: &Wired, member: &Member, interface: &str) -> String {
    let provided = &member.component.file().provides[interface];
    let port = wired
        .listens
        .get(&provided.setting)
        .map_or(provided.port, SocketAddr::port);
    format!("127.0.0.1:{port}")
}

/// Tells everybody who sends telemetry where to, and under which name.
fn observe(cast: &Cast, containers: &mut [Wired]) {
    let task = &cast.manifest.file().name;
    let links = cast.links.iter().filter(|link| link.requirement.is_none());
    for Link {
        user,
        provider,
        interface,
        ..
    } in links
    {
        let (member, other) = (&cast.members[*user], &cast.members[*provider]);
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

fn say(wired: &mut Wired, member: &Member, setting: &str, text: String, place: Place) {
    wired
        .environment
        .insert(member.component.variable(setting), (text, place));
}

/// Who starts after whom; ECS stops them in the reverse order, whatever the condition.
///
/// Everybody waits for what it uses, so that it is told to stop first and what it used still answers.
/// The app waits for all that stands beside it, and for the programs that run before it.
fn order(cast: &Cast, containers: &mut [Wired]) {
    let edges = cast.links.iter().map(|link| (link.user, link.provider));
    let app = cast
        .members
        .iter()
        .position(|member| member.role == Role::App);
    let beside = cast
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.role == Role::Sidecar);
    let beside = beside.filter_map(|(sidecar, _)| Some((app?, sidecar)));

    let router = cast.router.as_ref().map(|router| router.member);
    let logging = (0..cast.members.len()).filter_map(|user| Some((user, router?)));
    let logging = logging.filter(|(user, router)| user != router);
    for (user, provider) in edges.chain(beside).chain(logging) {
        // Someone beside the app may use the app; then the app cannot wait for it.
        if reaches(containers, provider, user) {
            continue;
        }

        let (member, other) = (&cast.members[user], &cast.members[provider]);
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

    initialise(cast, app, containers);
}

/// Init programs run one after the other, and the app waits until all have succeeded.
fn initialise(cast: &Cast, app: Option<usize>, containers: &mut [Wired]) {
    let members = cast.members.iter().enumerate();
    let mut inits: Vec<usize> = members
        .filter(|(_, member)| member.role == Role::Init)
        .map(|(index, _)| index)
        .collect();
    let listed = &cast.manifest.file().init;

    inits.sort_by_key(|index| {
        let name = cast.members[*index].component.name();
        listed.iter().position(|one| one == name)
    });

    for pair in inits.windows(2) {
        let because = "programs that run before the app run one after the other".to_owned();
        add(
            &mut containers[pair[1]],
            pair[0],
            Condition::Success,
            because,
            &cast.members[pair[1]],
        );
    }

    if let (Some(app), Some(last)) = (app, inits.last()) {
        let because = format!(
            "`{}` runs to its end before the app starts",
            cast.members[*last].name()
        );
        add(
            &mut containers[app],
            *last,
            Condition::Success,
            because,
            &cast.members[app],
        );
    }
}

fn add(wired: &mut Wired, on: usize, condition: Condition, because: String, member: &Member) {
    if wired.depends_on.iter().all(|(known, ..)| *known != on) {
        let place = Place::derived(because, Some(member.place.clone()));
        wired.depends_on.push((on, condition, place));
    }
}

/// Whether one waits for the other, directly or through others.
fn reaches(containers: &[Wired], from: usize, to: usize) -> bool {
    from == to
        || containers[from]
            .depends_on
            .iter()
            .any(|(next, ..)| reaches(containers, *next, to))
}
