//! Resolves the names of a manifest to components, with their roles, settings and links.

use std::collections::BTreeMap;

use diagnostics::{Finding, Location};

use crate::component::{Bundle, Catalog, Component, Kind};
use crate::diagnostic_context::DiagnosticContext;
use crate::manifest::Manifest;
use crate::rules;
use crate::text::suggest;
use crate::values::Values;

mod bundle;
mod checks;
mod links;
mod router;
mod running;
mod settings;

pub use router::LogRouter;
pub use settings::{Secret, Setting};

/// An assembly with every component in its role, every setting checked and every requirement met.
#[derive(Debug, Clone)]
pub struct ResolvedAssembly {
    pub(crate) manifest: Manifest,
    pub(crate) members: Vec<AssemblyMember>,
    pub(crate) links: Vec<Link>,
    pub(crate) router: Option<LogRouter>,
    pub(crate) account: Account,
    pub(crate) values: Values,
}

/// A component of the assembly, which becomes one container of the task.
#[derive(Debug, Clone)]
pub struct AssemblyMember {
    pub(crate) component: Component,
    /// The container's name: the component's, or the one that `overrides` gives it.
    pub(crate) container: String,
    pub(crate) role: Role,
    pub(crate) image: String,
    /// The bundle whose program the image contains, instead of the component's own program.
    pub(crate) bundle: Option<Bundle>,
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// The location in the manifest that names it.
    pub(crate) location: Location,
    pub(crate) run_mode: RunMode,
}

/// Whether a container serves until it is stopped, or exits when its work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Runs until it is stopped.
    Service,
    /// Runs to completion; it has no health check and provides no interface.
    OneShot,
}

/// The role of a component in the assembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A hop in front of the app.
    Ingress,
    /// The component the task exists for.
    App,
    /// A component next to the app.
    Sidecar,
    /// A program that runs to completion before the app starts.
    Init,
}

/// A requirement of one member that another member meets; both are indexes into `members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub(crate) user: usize,
    pub(crate) provider: usize,
    /// The name of the requirement, or `None` for telemetry.
    pub(crate) requirement: Option<String>,
    pub(crate) interface: String,
}

/// The AWS account, region and cluster the task runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account id: twelve digits.
    pub id: String,
    /// The region.
    pub region: String,
    /// `aws`, or another partition.
    pub partition: String,
    /// The cluster's name.
    pub cluster: String,
}

/// Resolves a manifest against the catalog, as far as it is valid. Reports all findings of the stage together.
pub fn resolve(
    manifest: Manifest,
    catalog: &Catalog,
    values: &Values,
    diagnostics: &mut DiagnosticContext,
) -> ResolvedAssembly {
    let mut findings = Vec::new();
    let mut members = members(&manifest, catalog, values, &mut findings);
    bundle::share_images(&mut members, &manifest, catalog, values, &mut findings);
    checks::run_mode(&manifest, &members, &mut findings);
    checks::unknown_components(&manifest, &members, &mut findings);
    findings.extend(running::check(&manifest));
    checks::unused_values(&manifest, &members, &mut findings);

    // Later steps run despite findings of earlier ones, so that all are reported together.
    let links = links::links(&members, &manifest, &mut findings);
    links::unused_telemetry(&members, &links, &mut findings);
    let router = router::router(&members, &manifest, values, &mut findings);
    let account = account(&manifest, values, &mut findings);
    diagnostics.report(findings);
    ResolvedAssembly {
        manifest,
        members,
        links,
        router,
        account,
        values: values.clone(),
    }
}

impl AssemblyMember {
    /// Returns the container's name.
    pub fn name(&self) -> &str {
        &self.container
    }

    /// Returns its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns whether it serves or runs to completion.
    pub fn run_mode(&self) -> RunMode {
        self.run_mode
    }

    /// Returns the component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns the bundle whose image the container runs, if it is not the component's own image.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.bundle.as_ref()
    }
}

/// Returns the members of the task: ingress hops outermost first, the app, sidecars, init programs.
fn members(
    manifest: &Manifest,
    catalog: &Catalog,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> Vec<AssemblyMember> {
    let mut members: Vec<AssemblyMember> = Vec::new();
    for (role, name, pointer) in declared_components(manifest) {
        let location = manifest.location(&pointer);
        if members.iter().any(|member| member.component.name() == name) {
            findings.push(rules::m06_duplicate_component::duplicate(location, name));
            continue;
        }

        match catalog.component(name) {
            None => {
                let hint = suggest(name, catalog.names());
                findings.push(rules::m05_unknown_component::unknown_component(
                    location, name, &hint,
                ));
            }
            // The component's own findings say why it cannot be used here.
            Some(Err(broken)) => findings.extend_from_slice(broken),
            Some(Ok(component)) => {
                if !allowed_kinds(role).contains(&component.file().kind) {
                    let (kind, expected) = (
                        kind_with_article(component.file().kind),
                        expected_kind(role),
                    );
                    findings.push(rules::m07_wrong_role::wrong_role(
                        location.clone(),
                        name,
                        kind,
                        expected,
                    ));
                }
                members.push(member(
                    component, role, location, manifest, values, findings,
                ));
            }
        }
    }

    // The sort is stable, so members that `order:` does not list follow in their usual order.
    let order = &manifest.file().order;
    members.sort_by_key(|member| {
        order
            .iter()
            .position(|name| name == member.component.name())
            .unwrap_or(order.len())
    });

    members
}

fn member(
    component: &Component,
    role: Role,
    location: Location,
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> AssemblyMember {
    let (settings, secrets) = settings::settings(component, manifest, &location, findings);
    let image = image(component, manifest, values, findings);
    let overrides = manifest.file().overrides.get(component.name());
    let container = overrides.and_then(|fields| fields.get("name")?.as_str());
    // In an on-demand task the app ends the task; its sidecars serve until then.
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
        bundle: None,
        settings,
        secrets,
        location,
    }
}

/// Returns the image that `overrides:` names for the container, or else the component's.
///
/// The pull permissions of the execution role are derived from it.
fn image(
    component: &Component,
    manifest: &Manifest,
    values: &Values,
    findings: &mut Vec<Finding>,
) -> String {
    let overrides = manifest.file().overrides.get(component.name());
    if let Some(image) = overrides.and_then(|fields| fields.get("image")?.as_str()) {
        return image.to_owned();
    }

    interpolate_image(&component.file().image, values, findings, || {
        component.location("/image")
    })
}

/// Returns an image with its values, and reports those that are undefined.
fn interpolate_image(
    image: &str,
    values: &Values,
    findings: &mut Vec<Finding>,
    location: impl FnOnce() -> Location,
) -> String {
    values.interpolate(image).unwrap_or_else(|missing| {
        let location = location();
        let missing = missing.into_iter();
        findings.extend(missing.map(|error| error.into_finding(&location, values.names())));
        String::new()
    })
}

/// Returns role, name and JSON pointer of each component that the manifest names.
fn declared_components(manifest: &Manifest) -> Vec<(Role, &str, String)> {
    let file = manifest.file();
    let list = |role, names: &'_ [String], field: &'static str| {
        names
            .iter()
            .enumerate()
            .map(|(index, name)| (role, name.clone(), format!("/{field}/{index}")))
            .collect::<Vec<_>>()
    };

    let mut all = list(Role::Ingress, &file.ingress, "ingress");
    all.push((Role::App, file.app.clone(), "/app".to_owned()));
    all.extend(list(Role::Sidecar, &file.sidecars, "sidecars"));
    all.extend(list(Role::Init, &file.init, "init"));

    // Without a valid name the app has a finding already.
    all.retain(|(_, name, _)| !name.is_empty());

    // Zipped with the list above, whose names are clones: this way the caller gets references.
    let names = file
        .ingress
        .iter()
        .chain([&file.app])
        .chain(&file.sidecars)
        .chain(&file.init)
        .filter(|name| !name.is_empty());

    names
        .zip(all)
        .map(|(name, (role, _, pointer))| (role, name.as_str(), pointer))
        .collect()
}

fn allowed_kinds(role: Role) -> &'static [Kind] {
    match role {
        Role::Ingress => &[Kind::Proxy],
        Role::App => &[Kind::App],
        Role::Sidecar => &[Kind::Sidecar, Kind::App],
        Role::Init => &[Kind::Init],
    }
}

fn expected_kind(role: Role) -> &'static str {
    match role {
        Role::Ingress => "a proxy",
        Role::App => "an app",
        Role::Sidecar => "a sidecar or an app",
        Role::Init => "an init",
    }
}

fn kind_with_article(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "an app",
        Kind::Proxy => "a proxy",
        Kind::Sidecar => "a sidecar",
        Kind::Init => "an init",
    }
}

/// Reads the values that every task needs; `partition` and `cluster` have defaults.
fn account(manifest: &Manifest, values: &Values, findings: &mut Vec<Finding>) -> Account {
    let mut value = |name: &str| {
        if let Some(value) = values.get(name) {
            return value.to_owned();
        }
        let location = manifest.location("/name");
        findings.push(rules::m14_undefined_value::undefined_value(
            location,
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
