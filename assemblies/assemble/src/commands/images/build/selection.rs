//! Which images to build, and for which platforms.

use assembly::Catalog;
use assembly::component::{Bundle, Component, ComponentFile, Local, LocalProgram};
use assembly::resolve::AssemblyMember;
use diagnostics::nearest;
use task_definition::ImageReference;

use super::Arguments;
use super::facts::Facts;
use super::target::Target;
use crate::arguments::ValueArguments;
use crate::commands::lock;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// The images to build.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) images: Vec<Buildable>,
    pub(super) targets: Vec<Target>,
}

/// An image of a program of this workspace.
#[derive(Debug)]
pub(super) struct Buildable {
    pub(super) name: String,
    pub(super) binary: String,
    /// The field that names the binary, for errors.
    pub(super) declared_by: &'static str,
    pub(super) facts: Facts,
    /// The component, or the members of the bundle.
    pub(super) components: Vec<Component>,
}

impl Buildable {
    fn from_component(component: &Component) -> Option<Self> {
        let file = component.file();
        Some(Self {
            name: file.name.clone(),
            binary: program(file)?.binary.clone(),
            declared_by: "`local.binary` in its component.yaml",
            facts: Facts::from_component(file),
            components: vec![component.clone()],
        })
    }

    fn from_bundle(bundle: &Bundle, catalog: &Catalog) -> Result<Self, CliError> {
        let members = bundle.file().members.iter();
        let components = members.filter_map(|name| catalog.component(name)?.ok().cloned());
        Ok(Self {
            name: bundle.name().to_owned(),
            binary: bundle.name().to_owned(),
            declared_by: "`name` in its bundle.yaml",
            facts: Facts::from_bundle(bundle, catalog)?,
            components: components.collect(),
        })
    }
}

/// Selects the images of the arguments. Problems of all of them are reported together.
pub(super) fn select(
    arguments: &Arguments,
    project: &Project,
    ui: &Ui,
) -> Result<Selection, CliError> {
    let catalog = project.catalog()?;
    let mut targets = arguments.platforms.clone();

    let images = if let Some(assembly) = &arguments.assembly {
        let (images, target) = select_assembly(assembly, &catalog, project, ui)?;
        if targets.is_empty() {
            targets.push(target);
        }
        images
    } else if arguments.names.is_empty() {
        select_all(&catalog)?
    } else {
        select_named(&catalog, &arguments.names)?
    };

    if images.is_empty() {
        return Err(CliError::Usage(
            "found no component with a program in this workspace; create one with `assemble new component NAME`, or \
             make an image of any static program with `--binary FILE --name NAME`"
                .to_owned(),
        ));
    }
    if targets.is_empty() {
        targets.push(Target::Amd64);
    }
    // The order of platforms in an index, and with it the digest, does not depend on the order of options.
    targets.sort_unstable();
    targets.dedup();

    Ok(Selection { images, targets })
}

/// Selects the images that the definition of an assembly names, and its platform.
fn select_assembly(
    assembly: &str,
    catalog: &Catalog,
    project: &Project,
    ui: &Ui,
) -> Result<(Vec<Buildable>, Target), CliError> {
    let names = [assembly.to_owned()];
    let plans = lock::plans(&names, &ValueArguments::default(), project)?;
    let (mut images, mut target) = (Vec::new(), Target::Amd64);

    for plan in &plans {
        // A plan has no other platforms.
        if plan.platform() == Target::Arm64.platform() {
            target = Target::Arm64;
        }
        for member in plan.containers() {
            let container = plan.definition().container(member.name());
            let rendered = container.map_or("", |container| container.image.as_str());
            match image_of(member, rendered, catalog)? {
                Some(image) => images.push(image),
                None => ui.message(&format!(
                    "`{}` has the image {rendered}, which is not built here: skipped",
                    member.name()
                )),
            }
        }
    }

    // Members of a bundle have one image.
    images.sort_by(|a, b| a.name.cmp(&b.name));
    images.dedup_by(|a, b| a.name == b.name);
    Ok((images, target))
}

/// Returns the image of a container: that of its bundle or component, unless the manifest replaces it.
fn image_of(
    member: &AssemblyMember,
    rendered: &str,
    catalog: &Catalog,
) -> Result<Option<Buildable>, CliError> {
    if let Some(bundle) = member.bundle() {
        return Buildable::from_bundle(bundle, catalog).map(Some);
    }
    // Another registry or tag is the same image, another name is one of others. A name with a value can be any.
    let file = member.component().file();
    let declared = ImageReference::parse(&file.image).name();
    let is_own = declared.contains("${") || declared == ImageReference::parse(rendered).name();
    Ok(is_own
        .then(|| Buildable::from_component(member.component()))
        .flatten())
}

/// Selects the images of all components with a program in this workspace, and of all bundles.
fn select_all(catalog: &Catalog) -> Result<Vec<Buildable>, CliError> {
    let names: Vec<String> = catalog.names().map(str::to_owned).collect();
    let components = find(catalog, &names)?;
    let own = components.iter().filter_map(Buildable::from_component);
    let mut images: Vec<Buildable> = own.collect();

    let mut findings = Vec::new();
    for bundle in catalog.bundles() {
        match bundle {
            Ok(bundle) => images.push(Buildable::from_bundle(bundle, catalog)?),
            Err(invalid) => findings.extend_from_slice(invalid),
        }
    }
    if findings.is_empty() {
        Ok(images)
    } else {
        Err(CliError::Findings(findings))
    }
}

/// Selects the images that were named on the command line, each of which must have a program.
fn select_named(catalog: &Catalog, names: &[String]) -> Result<Vec<Buildable>, CliError> {
    let is_bundle = |name: &&String| catalog.bundle(name).is_some();
    let (bundles, others): (Vec<&String>, Vec<&String>) = names.iter().partition(is_bundle);
    let others: Vec<String> = others.into_iter().cloned().collect();
    let (mut images, mut failures) = (Vec::new(), Vec::new());

    for component in find(catalog, &others)? {
        if let Some(image) = Buildable::from_component(&component) {
            images.push(image);
        } else {
            let reason = third_party(component.file());
            failures.push(CliError::Usage(format!(
                "{reason}: there is nothing to build"
            )));
        }
    }
    for bundle in bundles.into_iter().filter_map(|name| catalog.bundle(name)) {
        let image = match bundle {
            Ok(bundle) => Buildable::from_bundle(bundle, catalog),
            Err(findings) => Err(CliError::Findings(findings.to_vec())),
        };
        match image {
            Ok(image) => images.push(image),
            Err(failure) => failures.push(failure),
        }
    }

    CliError::all(failures)?;
    images.sort_by(|a, b| a.name.cmp(&b.name));
    images.dedup_by(|a, b| a.name == b.name);
    Ok(images)
}

/// Returns the program of a component that this workspace builds.
fn program(file: &ComponentFile) -> Option<&LocalProgram> {
    let program = file.local.as_ref().and_then(Local::program);
    program.filter(|_| file.container.is_none())
}

/// Returns the components of these names, sorted.
fn find(catalog: &Catalog, names: &[String]) -> Result<Vec<Component>, CliError> {
    let (mut components, mut findings, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut unique = names.to_vec();
    unique.sort();
    unique.dedup();

    for name in &unique {
        match catalog.component(name) {
            Some(Ok(component)) => components.push(component.clone()),
            Some(Err(invalid)) => findings.extend(invalid.to_vec()),
            None => failures.push(CliError::Usage(unknown(catalog, name))),
        }
    }

    if !findings.is_empty() {
        failures.push(CliError::Findings(findings));
    }
    CliError::all(failures)?;
    Ok(components)
}

fn unknown(catalog: &Catalog, name: &str) -> String {
    let bundles = catalog.bundles().filter_map(Result::ok).map(Bundle::name);
    let hint = match nearest(name, catalog.names().chain(bundles)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`assemble images build` without a name builds all".to_owned(),
    };
    format!("there is no component or bundle `{name}`; {hint}")
}

fn third_party(file: &ComponentFile) -> String {
    format!(
        "`{}` has no program in this workspace, its image is {}",
        file.name, file.image
    )
}
