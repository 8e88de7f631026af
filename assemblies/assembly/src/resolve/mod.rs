//! From names to components: who stands where, with which settings, and who gives what to whom.

use std::collections::BTreeMap;

use task_definition::{Finding, Place};

use crate::component::{Catalog, Component, Kind};
use crate::diagnostics::Diagnostics;
use crate::manifest::Manifest;
use crate::rules;
use crate::text::meant;
use crate::values::{Values, references};

mod links;
mod router;
mod running;
mod settings;

pub use router::LogRouter;
pub use settings::{Secret, Setting};

/// Every component in its role, every setting checked, every requirement answered.
#[derive(Debug, Clone)]
pub struct ResolvedAssembly {
    pub(crate) manifest: Manifest,
    pub(crate) members: Vec<AssemblyMember>,
    pub(crate) links: Vec<Link>,
    pub(crate) router: Option<LogRouter>,
    pub(crate) account: Account,
    pub(crate) values: Values,
}

/// A component in a task.
#[derive(Debug, Clone)]
pub struct AssemblyMember {
    pub(crate) component: Component,
    /// The container's name: the component's, or the one that `overrides` gives it.
    pub(crate) container: String,
    pub(crate) role: Role,
    pub(crate) image: String,
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The word of the manifest that names it.
    pub(crate) place: Place,
    pub(crate) run_mode: RunMode,
}

/// How long a member of a task is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Until it is told to stop.
    Service,
    /// Until its work is done; nobody asks it whether it is well, and it offers nothing.
    OneShot,
}

/// What a component is for in a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A hop in front of the app.
    Ingress,
    /// What the task exists for.
    App,
    /// Beside the app.
    Sidecar,
    /// Before the app.
    Init,
}

/// One member is given an interface by another: positions in the assembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub(crate) user: usize,
    pub(crate) provider: usize,
    /// The name of the requirement; none for telemetry.
    pub(crate) requirement: Option<String>,
    pub(crate) interface: String,
}

/// Where in AWS the task is to live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Twelve digits.
    pub id: String,
    /// The region.
    pub region: String,
    /// `aws`, or another partition.
    pub partition: String,
    /// The cluster's name.
    pub cluster: String,
}

/// Looks everything up; all that is wrong is heard together.
pub fn resolve(
    manifest: Manifest,
    catalog: &Catalog,
    values: &Values,
    diagnostics: &mut Diagnostics,
) -> Option<ResolvedAssembly> {
    let mut findings = Vec::new();
    let members = members(&manifest, catalog, values, &mut findings);
    mode(&manifest, &members, &mut findings);
    unknown_components(&manifest, &members, &mut findings);
    findings.extend(running::judge(&manifest));
    unused(&manifest, &members, &mut findings);

    let links = links::links(&members, &manifest, &mut findings);
    let router = router::router(&members, &manifest, values, &mut findings);
    let account = account(&manifest, values, &mut findings);
    diagnostics.report(findings).then(|| ResolvedAssembly {
        manifest,
        members,
        links,
        router,
        account,
        values: values.clone(),
    })
}

impl AssemblyMember {
    /// The container's name.
    pub fn name(&self) -> &str {
        &self.container
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How long it is there.
    pub fn run_mode(&self) -> RunMode {
        self.run_mode
    }

    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }
}

/// Everybody who stands in the task: the hops outermost first, the app, those beside it, those before.
fn members(
    manifest: &Manifest,
    catalog: &Catalog,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> Vec<AssemblyMember> {
    let mut members: Vec<AssemblyMember> = Vec::new();
    for (role, name, pointer) in declared_components(manifest) {
        let place = manifest.place(&pointer);
        if members.iter().any(|one| one.component.name() == name) {
            findings.push(rules::m06_duplicate_component::duplicate(place, name));
            continue;
        }

        match catalog.component(name) {
            None => {
                let hint = meant(name, catalog.names());
                findings.push(rules::m05_unknown_component::unknown_component(
                    place, name, &hint,
                ));
            }
            Some(Err(broken)) => findings.extend_from_slice(broken),
            Some(Ok(component)) => {
                if !allowed(role).contains(&component.file().kind) {
                    let (kind, wanted) = (article(component.file().kind), wanted(role));
                    findings.push(rules::m07_wrong_role::wrong_role(
                        place.clone(),
                        name,
                        kind,
                        wanted,
                    ));
                }
                members.push(member(component, role, place, manifest, values, findings));
            }
        }
    }

    let order = &manifest.file().order;
    members.sort_by_key(|one| {
        let named = order.iter().position(|name| name == one.component.name());
        named.unwrap_or(order.len())
    });

    members
}

fn member(
    component: &Component,
    role: Role,
    place: Place,
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> AssemblyMember {
    let (settings, secrets) = settings::settings(component, manifest, &place, findings);
    let image = image(component, manifest, values, findings);
    let overrides = manifest.file().overrides.get(component.name());
    let container = overrides.and_then(|fields| fields.get("name")?.as_str());
    let run_mode = match role {
        Role::Init => RunMode::OneShot,
        Role::App if manifest.file().on_demand.is_some() => RunMode::OneShot,
        _ => RunMode::Service,
    };

    AssemblyMember {
        run_mode,
        component: component.clone(),
        container: container.unwrap_or(component.name()).to_owned(),
        role,
        image,
        settings,
        secrets,
        place,
    }
}

/// The image the user names for this container, or else the component's; who may pull it follows from it.
fn image(
    component: &Component,
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> String {
    let overrides = manifest.file().overrides.get(component.name());
    if let Some(named) = overrides.and_then(|fields| fields.get("image")?.as_str()) {
        return named.to_owned();
    }

    values
        .interpolate(&component.file().image)
        .unwrap_or_else(|missing| {
            let place = component.place("/image");
            let told = missing
                .into_iter()
                .map(|one| one.to_finding(&place, values.names()));
            findings.extend(told);
            String::new()
        })
}

/// Role, name and JSON pointer of everybody the manifest names.
fn declared_components(manifest: &Manifest) -> Vec<(Role, &str, String)> {
    let file = manifest.file();
    let list = |role, names: &'_ [String], field: &'static str| {
        let named = names.iter().enumerate();
        named
            .map(|(i, name)| (role, name.clone(), format!("/{field}/{i}")))
            .collect::<Vec<_>>()
    };

    let mut all = list(Role::Ingress, &file.ingress, "ingress");
    all.push((Role::App, file.app.clone(), "/app".to_owned()));
    all.extend(list(Role::Sidecar, &file.sidecars, "sidecars"));
    all.extend(list(Role::Init, &file.init, "init"));

    let names = file
        .ingress
        .iter()
        .chain([&file.app])
        .chain(&file.sidecars)
        .chain(&file.init);

    names
        .zip(all)
        .map(|(name, (role, _, pointer))| (role, name.as_str(), pointer))
        .collect()
}

fn allowed(role: Role) -> &'static [Kind] {
    match role {
        Role::Ingress => &[Kind::Proxy],
        Role::App => &[Kind::App],
        Role::Sidecar => &[Kind::Sidecar, Kind::App],
        Role::Init => &[Kind::Init],
    }
}

fn wanted(role: Role) -> &'static str {
    match role {
        Role::Ingress => "a proxy",
        Role::App => "an app",
        Role::Sidecar => "a sidecar or an app",
        Role::Init => "an init",
    }
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "an app",
        Kind::Proxy => "a proxy",
        Kind::Sidecar => "a sidecar",
        Kind::Init => "an init",
    }
}

/// Serving or ending, and whether the app can.
fn mode(manifest: &Manifest, members: &[AssemblyMember], findings: &mut Vec<Finding>) {
    let file = manifest.file();
    match (&file.service, &file.on_demand) {
        (Some(_), Some(_)) => {
            findings.push(rules::m15_service_or_on_demand::both(
                manifest.key_place("", "on_demand"),
            ));
        }
        (None, None) => findings.push(rules::m15_service_or_on_demand::neither(
            manifest.place("/name"),
        )),
        (Some(service), None) if service.min > service.max => {
            let place = manifest.place("/service/min");
            findings.push(rules::m16_invalid_task_count::min_above_max(
                place,
                service.min,
                service.max,
            ));
        }
        (Some(service), None) if service.min < service.max && service.target.is_none() => {
            let place = manifest.place("/service/max");
            findings.push(rules::m16_invalid_task_count::no_target(
                place,
                service.min,
                service.max,
            ));
        }
        (None, Some(_)) => {
            let app = members.iter().find(|member| member.role == Role::App);
            let cannot = app.filter(|app| app.component.file().commands.on_demand.is_none());
            findings.extend(cannot.map(|app| {
                rules::m20_unsupported_run_mode::no_on_demand_command(app.place.clone(), app.name())
            }));
        }
        (Some(_), None) => {}
    }
}

/// Words about components that are not in the task.
fn unknown_components(
    manifest: &Manifest,
    members: &[AssemblyMember],
    findings: &mut Vec<Finding>,
) {
    let file = manifest.file();
    let said = file.settings.keys().map(|name| ("/settings", name));
    let said = said.chain(file.secrets.keys().map(|name| ("/secrets", name)));
    let said = said.chain(file.overrides.keys().map(|name| ("/overrides", name)));
    let sizes = file.size.containers.keys();
    let said = said.chain(sizes.map(|name| ("/size/containers", name)));

    // A name that no component has is told where the task names it.
    let named: Vec<&str> = declared_components(manifest)
        .iter()
        .map(|(_, name, _)| *name)
        .collect();

    for (index, name) in file.order.iter().enumerate() {
        if !named.contains(&name.as_str()) {
            let hint = meant(name, named.iter().copied());
            let place = manifest.place(&format!("/order/{index}"));
            findings.push(rules::m17_not_in_task::not_in_task(place, name, &hint));
        }
    }

    for (list, name) in said {
        if !named.contains(&name.as_str()) {
            let hint = meant(name, members.iter().map(AssemblyMember::name));
            let place = manifest.key_place(list, name);
            findings.push(rules::m17_not_in_task::not_in_task(place, name, &hint));
        }
    }
}

/// Values of the manifest that nothing in the task names.
fn unused(manifest: &Manifest, members: &[AssemblyMember], findings: &mut Vec<Finding>) {
    let mut used: Vec<String> = manifest.references().iter().cloned().collect();
    for member in members {
        let file = member.component.file();
        let resources = file.permissions.iter().flat_map(|one| &one.resources);
        let texts = resources.chain([&file.image]);
        used.extend(texts.flat_map(|text| references(text)));
    }

    used.extend(["account", "region", "partition", "cluster"].map(str::to_owned));
    for name in manifest.file().values.keys() {
        if !used.contains(name) {
            let place = manifest.key_place("/values", name);
            findings.push(rules::m32_unused_value::unused_value(place, name));
        }
    }
}

/// The values that every task needs; the last two have a default.
fn account(manifest: &Manifest, values: &Values, findings: &mut Vec<Finding>) -> Account {
    let mut value = |name: &str| {
        if let Some(value) = values.get(name) {
            return value.to_owned();
        }
        let place = manifest.place("/name");
        findings.push(rules::m14_undefined_value::undefined(
            place,
            name,
            values.names(),
        ));
        String::new()
    };

    Account {
        id: value("account"),
        region: value("region"),
        partition: values.get("partition").unwrap_or("aws").to_owned(),
        cluster: values.get("cluster").unwrap_or("default").to_owned(),
    }
}
